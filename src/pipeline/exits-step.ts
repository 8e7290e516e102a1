import { promises as fs } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { addExits } from "../artifact/exits/add.ts";
import type { ExitTable } from "../artifact/exits/table.ts";
import { Sha256 } from "../artifact/manifest.ts";
import { readManifest } from "../artifact/reader.ts";
import { limitTokens } from "../calibration/sequences.ts";
import { UserError } from "../errors.ts";
import { fileError } from "../formats/files.ts";
import type { WorkOptions } from "../progress.ts";
import { exitWeightsOf } from "../training/exits/head-parameters.ts";
import { choosePoints, evenly, lensAgreement } from "../training/exits/points.ts";
import { splitSequences } from "../training/exits/splits.ts";
import { HeadScore } from "../training/exits/training-state.ts";
import { type ExitSettings, exitCount, exitRank } from "./exit-settings.ts";
import { type ExitText, type ExitTextSource, exitTextStep } from "./exit-text-step.ts";
import type { RunFolder, StepResult } from "./run-folder.ts";
import { makeFolders } from "./run-folder-paths.ts";
import type { RunOptions } from "./run-options.ts";
import { hashOf } from "./step-key.ts";
import { openTrunk, type Trunk } from "./trunk.ts";

/** Where the states of the text's tokens are kept in the run folder. */
const STATES_FOLDER = "exit-states";
/** Tokens that `auto` chooses points by: the whole vocabulary's answer after every block is computed for each. Shares within 1 %. */
const AUTO_TOKENS = 2048;

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

/** What `exits.json` holds: which artifact the exits were added to, as it then was, and how they were trained. */
export const ExitsStep = z.strictObject({ manifestSha256: Sha256, heads: z.array(ExitTraining) });
export type ExitsStep = z.infer<typeof ExitsStep>;

/** What exits are trained for, on and by. */
export interface ExitsWork {
  /** The artifact that gets them, in place of any that it has. */
  readonly folder: string;
  readonly settings: ExitSettings;
  readonly seed: number;
  readonly source: ExitTextSource;
  readonly options: Pick<RunOptions, "executor" | "backend" | "threads"> & WorkOptions;
  /** Names of the steps. */
  readonly named: (step: string) => string;
  /** Also where the model with its exits takes more than was planned. */
  readonly overBudget?: boolean | undefined;
}

/** Exits of an artifact. */
export interface TrainedArtifactExits {
  readonly table: ExitTable;
  readonly heads: readonly ExitTraining[];
  /** Where the states of their text lie, for other exits at the same points; null where they are not there (any more). */
  readonly states: { readonly folder: string; readonly bytes: number } | null;
}

/**
 * Early exits of a packed model: their text, their points, then heads and thresholds, which are added to the artifact. Hidden states and the
 * training's state lie in `exit-states/` of the run folder, so that a stopped run goes on and other heads at the same points find them; those of
 * other text or points are removed. Throws UserError for settings or text that do not fit, Interrupted when stopped.
 */
export async function exitsStep(run: RunFolder, work: ExitsWork): Promise<TrainedArtifactExits> {
  const { folder, settings, seed, named, options } = work;
  const trunk = await openTrunk(folder, options);
  const text = await exitTextStep(run, named("exit-text"), { ...work, trunk });
  const points = await exitPoints(run, work, { trunk, text });
  const on = { trunk: trunk.sha256, text: text.value.id, points, seed };
  const states = path.join(run.folder, named(STATES_FOLDER), hashOf({ ...on, executor: trunk.executor }).slice(0, 16));
  const inputs = { ...on, ...(await trainedBy(trunk, work)), settings: headSettings(settings) };
  const exits = await run.step(
    named("exits"),
    ExitsStep,
    inputs,
    () => trainAndAdd(work, { trunk, text: text.value, points, states }),
    { check: (done) => sameExits(folder, done) },
  );
  const { exits: table } = await readManifest(folder);
  if (!table) throw new Error(`${folder}: the exits that were added are not there`);
  return { table, heads: exits.value.heads, states: await statesIn(states) };
}

/** What of the settings decides the heads beside text and points, which have names of their own. */
function headSettings({ kind, rank, vocabulary, confidence }: ExitSettings): unknown {
  return { kind, rank, vocabulary, confidence };
}

/** What computes: trained numbers are the same for the same backend, version and threads. */
async function trainedBy({ executor }: Trunk, { options: { backend: wanted, threads } }: ExitsWork): Promise<object> {
  // Nothing else of a run loads TensorFlow.js where the native executor serves.
  const { openBackend } = await import("../runtime/tfjs/backend.ts");
  const { backend, version, threads: used } = await openBackend({ backend: wanted, threads });
  return { executor, backend, version, threads: used };
}

/** Blocks run before each exit: as named, evenly spaced, or where the answers by depth promise most, which is measured once. */
async function exitPoints(
  run: RunFolder,
  { settings, seed, named, options: { onProgress, signal } }: ExitsWork,
  { trunk, text }: { readonly trunk: Trunk; readonly text: StepResult<ExitText> },
): Promise<readonly number[]> {
  const { after } = settings;
  const count = exitCount(settings);
  if (Array.isArray(after)) return after;
  if (after === "even") return evenly(trunk.manifest.spec.blocks.length, count);
  const inputs = { trunk: trunk.sha256, executor: trunk.executor, text: text.value.id, count, seed };
  const { value } = await run.step(named("exit-points"), z.array(z.number().int()), inputs, async () => {
    // What the thresholds are fitted to and reported on chooses nothing.
    const { train } = splitSequences(sequencesOf(text.value), seed);
    const agreement = await trunk.use((executor) =>
      lensAgreement(executor, limitTokens(train, AUTO_TOKENS), { onProgress, signal }),
    );
    return choosePoints(agreement, count);
  });
  return value;
}

/** Trains exits and adds them to the artifact. */
async function trainAndAdd(
  { folder, settings, seed, options, overBudget }: ExitsWork,
  {
    trunk,
    text,
    points,
    states,
  }: { readonly trunk: Trunk; readonly text: ExitText; readonly points: readonly number[]; readonly states: string },
): Promise<ExitsStep> {
  const { trainExits } = await import("../training/exits/train-exits.ts");
  const { backend, threads, onProgress, signal } = options;
  const { kind, vocabulary, confidence, data } = settings;
  await makeOnly(states);
  const trained = await trunk.use((executor, source) => {
    const bytes = stateBytes(text.tokens, points.length + 1, source.spec.hiddenSize);
    onProgress?.({ stage: "exit states", done: 1, total: 1, note: `${toMiB(bytes)} MiB in ${states}` });
    return trainExits({
      ...{ source, executor, modelId: trunk.sha256, sequences: sequencesOf(text), folder: states, points },
      ...{ kind, rank: exitRank(settings, source.spec), vocabulary, confidence, seed },
      ...{ backend, threads, onProgress, signal },
    });
  });
  const table = { ...trained.table, training: { ...trained.table.training, text: { data, id: text.id } } };
  const contents = { ids: trained.ids, exits: trained.heads.map(({ parameters }) => exitWeightsOf(parameters)) };
  const { manifestSha256 } = await addExits(folder, { table, contents, overBudget, signal });
  const heads = trained.heads.map(({ blocks, before, after, steps }) => ({ blocks, before, after, steps }));
  return { manifestSha256, heads };
}

function sequencesOf({ sequences }: ExitText): Int32Array[] {
  return sequences.map((sequence) => Int32Array.from(sequence));
}

/** f16 states after each exit and the last block, and the whole model's answer. */
function stateBytes(tokens: number, depths: number, hiddenSize: number): number {
  return tokens * (depths * hiddenSize * 2 + 8);
}

const toMiB = (bytes: number) => (bytes / 2 ** 20).toFixed(1);

/** Makes a folder and removes those beside it: states of one text and set of points are kept, no more. */
async function makeOnly(folder: string): Promise<void> {
  const parent = path.dirname(folder);
  await makeFolders(folder);
  try {
    for (const name of await fs.readdir(parent)) {
      if (name !== path.basename(folder)) await fs.rm(path.join(parent, name), { recursive: true, force: true });
    }
  } catch (error) {
    throw fileError(error, parent, "write");
  }
}

async function statesIn(folder: string): Promise<TrainedArtifactExits["states"]> {
  const names = await fs.readdir(folder).catch(() => null);
  if (!names) return null;
  const sizes = await Promise.all(names.map(async (name) => (await fs.stat(path.join(folder, name))).size));
  return { folder, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** Null where the artifact still has the exits of a finished step, else why they are trained again. */
async function sameExits(folder: string, { manifestSha256 }: ExitsStep): Promise<string | null> {
  try {
    const { manifestSha256: found, exits } = await readManifest(folder);
    if (found === manifestSha256) return null;
    return exits ? "the artifact has other exits" : "the artifact has no exits any more";
  } catch (error) {
    if (error instanceof UserError) return "the artifact is not there any more";
    throw error;
  }
}
