import { promises as fs } from "node:fs";
import path from "node:path";
import type { Job } from "./job.ts";
import { trunkOf } from "./job-trunk.ts";
import { hashOf } from "./step-key.ts";
import { exitPointsOf } from "./steps/exit-points.ts";
import { exitTextStep } from "./steps/exit-text.ts";

/** Where the states of the text's tokens are kept in the run folder. */
const STATES_FOLDER = "exit-states";

/**
 * The folder of the job's states, for `job.once`: one for a text and a set of points, whatever heads are trained on
 * them.
 */
export async function statesFolderOf(job: Job): Promise<string> {
  const { sha256: trunk, executor } = await job.once(trunkOf);
  const { id: text } = await job.get(exitTextStep);
  const points = await job.once(exitPointsOf);
  const name = hashOf({ trunk, text, points, seed: job.recipe.seed, executor }).slice(0, 16);
  return path.join(job.folder, job.named(STATES_FOLDER), name);
}

/** States that are there; null where they are not (any more). */
export async function statesIn(folder: string): Promise<{ readonly folder: string; readonly bytes: number } | null> {
  const names = await fs.readdir(folder).catch(() => null);
  if (!names) return null;
  const sizes = await Promise.all(names.map(async (name) => (await fs.stat(path.join(folder, name))).size));
  return { folder, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** f16 states after each exit and the last block, and the whole model's answer. */
export function stateBytes(tokens: number, depths: number, hiddenSize: number): number {
  return tokens * (depths * hiddenSize * 2 + 8);
}
