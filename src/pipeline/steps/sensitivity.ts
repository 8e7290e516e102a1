import path from "node:path";
import { z } from "zod";
import { limitTokens } from "../../calibration/sequences.ts";
import { nullOn } from "../../errors.ts";
import { readJsonFile, writeFileAtomic } from "../../formats/files.ts";
import { PRUNING_KINDS } from "../../pruning/index.ts";
import { measureSensitivity, type Sensitivities } from "../../pruning/sensitivity.ts";
import { SPREADS } from "../../pruning/spreads.ts";
import type { Job, Step } from "../job.ts";
import { pruneSettingsOf } from "../prune-settings.ts";
import { readableJson } from "../step-key.ts";
import { calibrationStep, restoreCalibration } from "./calibration.ts";
import { weightsStep } from "./weights.ts";

/** Calibration tokens that sensitivity is measured on, at most. */
const SENSITIVITY_TOKENS = 2048;

/** Errors of each block at the ratios; null: the block has nothing to lose. */
const Blocks = z.array(z.strictObject({ relative: z.array(z.number()), mse: z.array(z.number()) }).nullable());

/** What `sensitivity.json` holds: how much pruning changes each block's output. */
export const Sensitivity = z.strictObject({
  /** Shares of a block's slices that were taken. */
  ratios: z.array(z.number()),
  blocks: Blocks,
});
export type Sensitivity = z.infer<typeof Sensitivity>;

/** Prunes each block by itself at several ratios, where the recipe spreads by what that does. */
export const sensitivityStep: Step<Sensitivity> = {
  name: "sensitivity",
  schema: Sensitivity,
  wanted: ({ prune }) => prune !== undefined && SPREADS[prune.spread] !== null && prune.ratio > 0,

  async inputs(job) {
    await job.get(weightsStep);
    await job.get(calibrationStep);
    const { kind } = pruneSettingsOf(job.recipe);
    return { kind, ratios: PRUNING_KINDS[kind].probes, executor: job.origin.executor };
  },

  /** A stopped run goes on at its block. */
  async compute(job, { scratch }) {
    const file = path.join(await scratch(), "blocks.json");
    const saved = (await nullOn("FILE_NOT_FOUND", () => readJsonFile(file, Blocks))) ?? [];
    const keep = (found: Sensitivities) => writeFileAtomic(file, readableJson(found));
    const work = await pruningWorkOf(job);
    const sequences = limitTokens(work.sequences, SENSITIVITY_TOKENS);
    return {
      ratios: [...work.kind.probes],
      blocks: [...(await measureSensitivity({ ...work, sequences, saved, keep }))],
    };
  },
};

/** What pruning is done with. */
export async function pruningWorkOf(job: Job) {
  const { source, maths } = job.origin;
  const { sequences } = restoreCalibration((await job.get(calibrationStep)).value);
  const { onProgress, signal } = job.options;
  const kind = PRUNING_KINDS[pruneSettingsOf(job.recipe).kind];
  return { source, sequences, createExecutor: job.executors, maths, kind, onProgress, signal };
}
