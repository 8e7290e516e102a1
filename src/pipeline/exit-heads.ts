import { z } from "zod";
import type { ExitsContents } from "../artifact/exits/file.ts";
import type { ExitTable, VoteWeights } from "../artifact/exits/table.ts";
import type { Artifact } from "../artifact/reader.ts";
import { limitTokens } from "../calibration/sequences.ts";
import { exitSetOf } from "../decoding/exits/exit-set.ts";
import { VOTE_RULES } from "../decoding/exits/vote-rules/index.ts";
import { fitVoteWeights, reportVote } from "../evaluation/voting/calibrate-vote.ts";
import { separateWindows } from "../evaluation/windows.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import { shortBytes } from "../size-text.ts";
import { exitWeightsOf } from "../training/exits/head-parameters.ts";
import { splitSequences } from "../training/exits/splits.ts";
import { HeadScore } from "../training/exits/training-state.ts";
import { exitRank, exitSettingsOf } from "./exit-settings.ts";
import { stateBytes } from "./exit-states.ts";
import type { Job } from "./job.ts";
import { trunkOf } from "./job-trunk.ts";
import { exitPointsOf } from "./steps/exit-points.ts";
import { exitTextStep, sequencesOf } from "./steps/exit-text.ts";

/** Tokens that weights of a vote are fitted to, and reported on, at most: a handful of numbers needs no more. */
const VOTE_TOKENS = 8192;

/** How one exit head was trained. */
export const ExitTraining = z.strictObject({
  /** Blocks that run before it. */
  blocks: z.number().int().positive(),
  /** On held-out tokens: the logit lens that it began as, and what was kept after so many steps. */
  before: HeadScore,
  after: HeadScore,
  steps: z.number().int().nonnegative(),
});
export type ExitTraining = z.infer<typeof ExitTraining>;

/** Heads with their table, before they are added. */
interface MadeExits {
  readonly table: ExitTable;
  readonly contents: ExitsContents;
  readonly heads: ExitTraining[];
}

/** The artifact that exits are made for, what runs it, and where states of its text are kept. */
interface OpenTrunk {
  readonly executor: AnyExecutor;
  readonly source: Artifact;
  readonly folder: string;
}

/** The exits that the job's recipe asks for, with weights of a vote where it asks for a rule that has some. */
export async function madeExits(job: Job, trunk: OpenTrunk): Promise<MadeExits> {
  const { vote } = exitSettingsOf(job.recipe);
  const made = await headsOf(job, trunk);
  if (vote === undefined || !VOTE_RULES[vote].weighted) return made;
  return { ...made, table: { ...made.table, voting: await votingOf(job, trunk, made) } };
}

/** Trains the heads, or takes the output head for all of them; the executor knows them afterwards. */
async function headsOf(job: Job, { executor, source, folder }: OpenTrunk): Promise<MadeExits> {
  const { backend, threads, onProgress, signal } = job.options;
  const { seed } = job.recipe;
  const settings = exitSettingsOf(job.recipe);
  const { kind, vocabulary, confidence } = settings;
  const { value: text } = await job.get(exitTextStep);
  const points = await job.once(exitPointsOf);
  const options = {
    ...{ source, executor, modelId: (await job.once(trunkOf)).sha256, sequences: sequencesOf(text), folder, points },
    ...{ confidence, seed, backend, threads, onProgress, signal },
  };
  if (kind === "shared") {
    const { sharedExits } = await import("../training/exits/shared-exits.ts");
    const nothing = { norm: null, normBias: null, tail: null, down: null, up: null, matrix: null };
    return { table: await sharedExits(options), contents: { ids: null, exits: points.map(() => nothing) }, heads: [] };
  }
  const bytes = stateBytes(text.tokens, points.length + 1, source.spec.hiddenSize);
  onProgress?.({ stage: "exit states", done: 1, total: 1, note: `${shortBytes(bytes)} in ${folder}` });
  const { trainExits } = await import("../training/exits/train-exits.ts");
  const trained = await trainExits({ ...options, kind, rank: exitRank(settings, source.spec), vocabulary });
  return {
    table: trained.table,
    contents: { ids: trained.ids, exits: trained.heads.map(({ parameters }) => exitWeightsOf(parameters)) },
    heads: trained.heads.map(({ blocks, before, after, steps }) => ({ blocks, before, after, steps })),
  };
}

/** Weights from tokens that thresholds are fitted to, and what they do on those that these are reported on. */
async function votingOf(job: Job, { executor }: OpenTrunk, { table, contents }: MadeExits): Promise<VoteWeights> {
  const { onProgress, signal } = job.options;
  const { value: text } = await job.get(exitTextStep);
  const split = splitSequences(sequencesOf(text), job.recipe.seed);
  const windowsOf = (sequences: readonly Int32Array[]) => separateWindows(limitTokens(sequences, VOTE_TOKENS)).windows;
  const asked = { executor, exits: exitSetOf(table, contents.ids), onProgress, signal };
  const { weights, tokens } = await fitVoteWeights(asked, windowsOf(split.calibrate));
  return { weights, tokens, report: await reportVote(asked, weights, windowsOf(split.report)) };
}
