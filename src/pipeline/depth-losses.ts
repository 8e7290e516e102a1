import { z } from "zod";
import type { TunedModel } from "../training/tuning/tune-model.ts";

/** Mean held-out loss in nats after so many blocks. */
export const DepthLoss = z.strictObject({ blocks: z.number().int(), before: z.number(), after: z.number() });
export type DepthLoss = z.infer<typeof DepthLoss>;

/** Losses before and after tuning at the end of each window; the last is the model's own. */
export function depthLosses({ windows, before, after }: TunedModel): DepthLoss[] {
  return windows.map(({ to }, i) => ({ blocks: to, before: before[i], after: after[i] }));
}
