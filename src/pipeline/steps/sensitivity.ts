import { z } from "zod";
import { limitTokens } from "../../calibration/sequences.ts";
import { PRUNING_KINDS } from "../../pruning/index.ts";
import { measureSensitivity } from "../../pruning/sensitivity.ts";
import type { Job, Step } from "../job.ts";
import { pruneSettingsOf } from "../prune-settings.ts";
import { calibrationStep, restoreCalibration } from "./calibration.ts";
import { weightsStep } from "./weights.ts";

/** Calibration tokens that sensitivity is measured on, at most. */
const SENSITIVITY_TOKENS = 4096;

/** What `sensitivity.json` holds: how much pruning changes each block's output. */
export const Sensitivity = z.strictObject({
  /** Shares of a block's units that were taken. */
  ratios: z.array(z.number()),
  /** Errors at these ratios; null: the block has nothing to lose. */
  blocks: z.array(z.strictObject({ relative: z.array(z.number()), mse: z.array(z.number()) }).nullable()),
});
export type Sensitivity = z.infer<typeof Sensitivity>;

/** Prunes each block by itself at several ratios, where the recipe spreads by what that does. */
export const sensitivityStep: Step<Sensitivity> = {
  name: "sensitivity",
  schema: Sensitivity,
  wanted: ({ prune }) => prune !== undefined && prune.spread !== "uniform" && prune.ratio > 0,

  async inputs(job) {
    await job.get(weightsStep);
    await job.get(calibrationStep);
    const { kind } = pruneSettingsOf(job.recipe);
    return { kind, ratios: PRUNING_KINDS[kind].probes, executor: job.origin.executor };
  },

  async compute(job) {
    const work = await pruningWorkOf(job);
    const sequences = limitTokens(work.sequences, SENSITIVITY_TOKENS);
    return { ratios: [...work.kind.probes], blocks: await measureSensitivity({ ...work, sequences }) };
  },
};

/** What pruning is done with. */
export async function pruningWorkOf(job: Job) {
  const { checkpoint: source, maths } = job.origin;
  const { sequences } = restoreCalibration((await job.get(calibrationStep)).value);
  const { onProgress, signal } = job.options;
  const kind = PRUNING_KINDS[pruneSettingsOf(job.recipe).kind];
  return { source, sequences, createExecutor: job.executors, maths, kind, onProgress, signal };
}
