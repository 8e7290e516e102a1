import { z } from "zod";
import { addExits } from "../../artifact/exits/add.ts";
import type { ExitTable } from "../../artifact/exits/table.ts";
import { Sha256 } from "../../artifact/manifest.ts";
import { readManifest } from "../../artifact/reader.ts";
import { UserError } from "../../errors.ts";
import { makeOnly } from "../../formats/make-folders.ts";
import { ExitTraining, madeExits } from "../exit-heads.ts";
import { exitSettingsOf } from "../exit-settings.ts";
import { statesFolderOf, statesIn } from "../exit-states.ts";
import type { Job, Step } from "../job.ts";
import { trunkOf } from "../job-trunk.ts";
import { exitPointsOf } from "./exit-points.ts";
import { exitTextStep } from "./exit-text.ts";

/** What `exits.json` holds: which artifact the exits were added to, as it then was, and how they were trained. */
export const ExitsAdded = z.strictObject({ manifestSha256: Sha256, heads: z.array(ExitTraining) });
export type ExitsAdded = z.infer<typeof ExitsAdded>;

/**
 * Trains heads, fits thresholds and maybe weights of a vote, and adds them to the artifact in place of any that it has.
 * Hidden states and the training's state lie in `exit-states/`, so that a stopped run goes on and other heads at the
 * same points find them; those of other text or points are removed.
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
    const { kind, rank, vocabulary, confidence, vote } = exitSettingsOf(job.recipe);
    const settings = { kind, rank, vocabulary, confidence, vote };
    const trainer = kind === "shared" ? null : await trainerOf(job);
    return { points, seed: job.recipe.seed, executor, ...trainer, settings };
  },

  async compute(job) {
    const { signal } = job.options;
    const { data } = exitSettingsOf(job.recipe);
    const trunk = await job.once(trunkOf);
    const { id: text } = await job.get(exitTextStep);
    const folder = await job.once(statesFolderOf);
    await makeOnly(folder);
    const { table, contents, heads } = await trunk.use((executor, source) =>
      madeExits(job, { executor, source, folder }),
    );
    const named = { ...table, training: { ...table.training, text: { data, id: text } } };
    const { overBudget } = job.facts;
    const { manifestSha256 } = await addExits(job.artifactFolder, { table: named, contents, overBudget, signal });
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
