import type { GuardResult } from "../artifact/manifest.ts";
import type { Plan } from "../artifact/plan.ts";
import type { Job } from "./job.ts";
import { type PackedPlan, packedPlan, uniformRival } from "./packed-plan.ts";
import { libraryOf, underPlan } from "./packing.ts";
import { guardStep } from "./steps/guard.ts";
import { planStep } from "./steps/plan.ts";

/** What becomes the artifact: a plan and its matrices. */
export interface ShippedPlan extends PackedPlan {
  readonly plan: Plan;
  /** Null where the recipe asks for no comparison. */
  readonly guard: GuardResult | null;
}

/**
 * The plan as it ships, for `job.once`: its matrices packed anew where the recipe says so, and the plan replaced by the
 * best uniform one of no more bytes where that diverges less from the original weights on held-out text.
 */
export async function shippedPlan(job: Job): Promise<ShippedPlan> {
  const { value: plan } = await job.get(planStep);
  const own = await job.once(packedPlan);
  const guard = (await job.ask(guardStep))?.value ?? null;
  const rival = guard?.ships === "uniform" ? await job.once(uniformRival) : null;
  if (!rival) return { plan, guard, ...own };
  return { plan: rival, packed: await underPlan(job, await job.once(libraryOf), rival), guard, learning: null };
}
