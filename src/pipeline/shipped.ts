import type { GuardResult } from "../artifact/manifest.ts";
import type { Plan } from "../artifact/plan.ts";
import type { Job } from "./job.ts";
import { libraryPlan, type PackedPlan, packedPlan, uniformRival, wholeRival } from "./packed-plan.ts";
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
 * best uniform one of no more bytes, or the best one of whole blocks, where that diverges less from the original
 * weights on held-out text.
 */
export async function shippedPlan(job: Job): Promise<ShippedPlan> {
  const { value: plan } = await job.get(planStep);
  const own = await job.once(packedPlan);
  const guard = (await job.ask(guardStep))?.value ?? null;
  if (!guard || guard.ships === "plan") return { plan, guard, ...own };
  const rival = await job.once(guard.ships === "uniform" ? uniformRival : wholeRival);
  if (!rival) throw new Error(`the guard has chosen a plan that is not there: ${guard.ships}`);
  return { plan: plan.pruning ? wholeInstead(rival, plan) : rival, guard, ...(await libraryPlan(job, rival)) };
}

/** A plan of whole blocks, with what the plan that it stands for has left out, and would lose. */
function wholeInstead(rival: Plan, { pruning, predictedLoss }: Plan): Plan {
  const cuts = pruning?.cuts.map(() => null) ?? [];
  return { ...rival, pruning: { cuts, wholeLoss: pruning?.wholeLoss, cutLoss: predictedLoss } };
}
