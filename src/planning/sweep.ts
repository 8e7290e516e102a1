import type { Plan } from "../artifact/plan.ts";
import type { MilpSolver } from "./optimal/milp.ts";
import { createPlanner, type FeasibleRange, type PlanRequest } from "./planner.ts";
import { assignmentOf, bitsPerWeight } from "./prediction.ts";

/** One budget of a sweep. */
export interface SweepPoint {
  readonly budgetBytes: number;
  /** What its plan takes of it. */
  readonly totalBytes: number;
  /** Mean bits of all weights' levels, scales not counted. */
  readonly bitsPerWeight: number;
  /** Predicted by the scores (`kl`, `output-mse`); null for others. */
  readonly predictedLoss: number | null;
  /** Sum over blocks of importance x bits lowered below 16 (`lsaq`, `cosine`); null for others. */
  readonly importanceLowered: number | null;
  readonly plan: Plan;
}

/** Plans under budgets at even distances. */
export interface Sweep {
  readonly range: FeasibleRange;
  readonly points: readonly SweepPoint[];
}

/**
 * `count` budgets from the smallest feasible to what the largest plan needs, ends included, each with its plan; `also`
 * is one more, in its place. Throws UserError BUDGET_TOO_SMALL where that one is.
 */
export function sweepBudgets(
  request: PlanRequest,
  { count = 10, solver, also = null }: { count?: number; solver?: MilpSolver | undefined; also?: number | null } = {},
): Sweep {
  const planner = createPlanner(request, solver);
  const range = planner.range();
  const span = range.largestBytes - range.smallestBytes;
  const even = Array.from({ length: count }, (_, i) => {
    const share = count === 1 ? 1 : i / (count - 1);
    return range.smallestBytes + Math.floor(span * share);
  });
  const budgets = [...new Set(also === null ? even : [...even, also])].sort((a, b) => a - b);
  const points = budgets.map((budgetBytes) => {
    const plan = planner.plan(budgetBytes);
    return {
      budgetBytes,
      totalBytes: plan.memory.totalBytes,
      bitsPerWeight: bitsPerWeight(planner.matrices, assignmentOf(plan)),
      predictedLoss: plan.predictedLoss,
      importanceLowered: plan.importanceLowered,
      plan,
    };
  });
  return { range, points };
}
