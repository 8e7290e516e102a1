import { z } from "zod";
import { addExits } from "../../artifact/exits/add.ts";
import type { ExitTable } from "../../artifact/exits/table.ts";
import { Sha256 } from "../../artifact/manifest.ts";
import { readManifest } from "../../artifact/reader.ts";
import { UserError } from "../../errors.ts";
import { makeOnly } from "../../formats/make-folders.ts";
import { exitWeightsOf } from "../../training/exits/head-parameters.ts";
import { HeadScore } from "../../training/exits/training-state.ts";
import { exitRank, exitSettingsOf } from "../exit-settings.ts";
import { stateBytes, statesFolderOf, statesIn } from "../exit-states.ts";
import type { Job, Step } from "../job.ts";
import { trunkOf } from "./artifact.ts";
import { exitPointsOf } from "./exit-points.ts";
import { exitTextStep, sequencesOf } from "./exit-text.ts";

/** How one exit head was trained. */
const ExitTraining = z.strictObject({
  /** Blocks that run before it. */
  blocks: z.number().int().positive(),
  /** On held-out tokens: the logit lens that it began as, and what was kept after so many steps. */
  before: HeadScore,
  after: HeadScore,
  steps: z.number().int().nonnegative(),
});
type ExitTraining = z.infer<typeof ExitTraining>;

/** What `exits.json` holds: which artifact the exits were added to, as it then was, and how they were trained. */
export const ExitsAdded = z.strictObject({ manifestSha256: Sha256, heads: z.array(ExitTraining) });
export type ExitsAdded = z.infer<typeof ExitsAdded>;

/**
 * Trains heads and thresholds, and adds them to the artifact in place of any that it has. Hidden states and the
 * training's state lie in
 * `exit-states/`, so that a stopped run goes on and other heads at the same points find them; those of other text or
 * points are removed.
 */
export const exitsStep: Step<ExitsAdded> = {
  name: "exits",
  schema: ExitsAdded,
  perDevice: true,
  wanted: ({ exits }) => exits !== undefined,

  async inputs(job) {
    const { executor } = await job.once(trunkOf);
    await job.get(exitTextStep);
    const points = await job.once(exitPointsOf);
    // What of the settings decides the heads beside text and points.
    const { kind, rank, vocabulary, confidence } = exitSettingsOf(job.recipe);
    const settings = { kind, rank, vocabulary, confidence };
    return { points, seed: job.recipe.seed, executor, ...(await trainerOf(job)), settings };
  },

  async compute(job) {
    const { trainExits } = await import("../../training/exits/train-exits.ts");
    const { backend, threads, onProgress, signal } = job.options;
    const { seed } = job.recipe;
    const settings = exitSettingsOf(job.recipe);
    const { kind, vocabulary, confidence, data } = settings;
    const trunk = await job.once(trunkOf);
    const { value: text } = await job.get(exitTextStep);
    const points = await job.once(exitPointsOf);
    const folder = await job.once(statesFolderOf);
    await makeOnly(folder);
    const trained = await trunk.use((executor, source) => {
      const bytes = stateBytes(text.tokens, points.length + 1, source.spec.hiddenSize);
      onProgress?.({ stage: "exit states", done: 1, total: 1, note: `${toMiB(bytes)} MiB in ${folder}` });
      return trainExits({
        ...{ source, executor, modelId: trunk.sha256, sequences: sequencesOf(text), folder, points },
        ...{ kind, rank: exitRank(settings, source.spec), vocabulary, confidence, seed },
        ...{ backend, threads, onProgress, signal },
      });
    });
    const table = { ...trained.table, training: { ...trained.table.training, text: { data, id: text.id } } };
    const contents = { ids: trained.ids, exits: trained.heads.map(({ parameters }) => exitWeightsOf(parameters)) };
    const { overBudget } = job.facts;
    const { manifestSha256 } = await addExits(job.artifactFolder, { table, contents, overBudget, signal });
    const heads = trained.heads.map(({ blocks, before, after, steps }) => ({ blocks, before, after, steps }));
    return { manifestSha256, heads };
  },

  check: (job, done) => sameExits(job.artifactFolder, done),
};

/** Exits of an artifact. */
export interface TrainedArtifactExits {
  readonly table: ExitTable;
  readonly heads: readonly ExitTraining[];
  /**
   * Where the states of their text lie, for other exits at the same points; null where they are not there (any more).
   */
  readonly states: { readonly folder: string; readonly bytes: number } | null;
}

/** What the step has made of the job's artifact. */
export async function trainedExits(job: Job): Promise<TrainedArtifactExits> {
  const { heads } = (await job.get(exitsStep)).value;
  const { exits: table } = await readManifest(job.artifactFolder);
  if (!table) throw new Error(`${job.artifactFolder}: the exits that were added are not there`);
  return { table, heads, states: await statesIn(await job.once(statesFolderOf)) };
}

/** What computes: trained numbers are the same for the same backend, version and threads. */
async function trainerOf({ options: { backend: wanted, threads: asked } }: Job) {
  // Nothing else of a run loads TensorFlow.js where the native executor serves.
  const { openBackend } = await import("../../runtime/tfjs/backend.ts");
  const { backend, version, threads } = await openBackend({ backend: wanted, threads: asked });
  return { backend, version, threads };
}

const toMiB = (bytes: number) => (bytes / 2 ** 20).toFixed(1);

/** Null where the artifact still has the exits of a finished step, else why they are trained again. */
async function sameExits(folder: string, { manifestSha256 }: ExitsAdded): Promise<string | null> {
  try {
    const { manifestSha256: found, exits } = await readManifest(folder);
    if (found === manifestSha256) return null;
    return exits ? "the artifact has other exits" : "the artifact has no exits any more";
  } catch (error) {
    if (error instanceof UserError) return "the artifact is not there any more";
    throw error;
  }
}
