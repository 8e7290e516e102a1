import { z } from "zod";
import type { Checkpoint } from "../model/checkpoint.ts";
import { checkWeights } from "../model/checkpoint-check.ts";
import type { WorkOptions } from "../progress.ts";

/** What `weights.json` holds: that every weight is finite, and what was read. */
export const WeightsStep = z.strictObject({ files: z.array(z.strictObject({ path: z.string(), bytes: z.number() })) });
export type WeightsStep = z.infer<typeof WeightsStep>;

/** Reads every weight once. Throws UserError naming the first tensor with NaN or infinite values, and their count. */
export async function checkAllWeights(checkpoint: Checkpoint, work: WorkOptions): Promise<WeightsStep> {
  await checkWeights(checkpoint, work);
  return { files: checkpoint.files.map(({ path, bytes }) => ({ path, bytes })) };
}
