import type { GuardResult } from "../artifact/manifest.ts";
import type { Plan } from "../artifact/plan.ts";
import type { WeightSource } from "../model/weight-source.ts";
import type { Job } from "./job.ts";
import type { Learning } from "./learning.ts";
import { packedPlan, uniformRival } from "./packed-plan.ts";
import { libraryOf, underPlan } from "./packing.ts";
import { guardStep } from "./steps/guard.ts";
import { planStep } from "./steps/plan.ts";

/** What becomes the artifact. */
export interface ShippedPlan {
  readonly plan: Plan;
  /** Its matrices, packed; null: the quantizer needs no statistics, and they are quantized while they are written. */
  readonly packed: WeightSource | null;
  /** Null where the recipe asks for no comparison. */
  readonly guard: GuardResult | null;
  /** What its learned numbers depend on; null where none were learned. */
  readonly learning: Learning["facts"] | null;
}

/**
 * The plan as it ships, for `job.once`: its matrices packed anew where the recipe says so, and the plan replaced by the best uniform one
 * of no more bytes where that diverges less from the original weights on held-out text.
 */
export async function shippedPlan(job: Job): Promise<ShippedPlan> {
  const { value: plan } = await job.get(planStep);
  const own = await job.once(packedPlan);
  const guard = (await job.ask(guardStep))?.value ?? null;
  const rival = guard?.ships === "uniform" ? await job.once(uniformRival) : null;
  if (!rival) return { plan, guard, ...own };
  return { plan: rival, packed: underPlan(job, await job.once(libraryOf), rival), guard, learning: null };
}
