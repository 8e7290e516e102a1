import type { Plan } from "../artifact/plan.ts";
import type { MilpSolver } from "./optimal/milp.ts";
import { createPlanner, type FeasibleRange, type PlanRequest } from "./planner.ts";

/**
 * The plan of one budget (null: no limit): every matrix's codec, the itemised memory sum, the predicted loss. Pure:
 * reads nothing, needs no weights; `solver` as in createPlanner. Throws UserError `BUDGET_TOO_SMALL` with the nearest
 * feasible requests, and whatever {@link createPlanner} throws.
 */
export function makePlan(
  request: PlanRequest & { readonly budgetBytes: number | null },
  solver?: MilpSolver | undefined,
): Plan {
  return createPlanner(request, solver).plan(request.budgetBytes);
}

/** Smallest and largest bytes that plans of this request take. */
export function feasibleRange(request: PlanRequest): FeasibleRange {
  return createPlanner(request).range();
}
