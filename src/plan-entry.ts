/** The planning entry point: pure, without any `node:` module, so that it bundles for a browser. */
export { MemoryItem, MemorySum, Plan, PlannedMatrix } from "./artifact/plan.ts";
export { UserError } from "./errors.ts";
export { describeModel } from "./model/architectures/index.ts";
export { DecoderSpec } from "./model/decoder-spec.ts";
export { memorySum } from "./model/memory.ts";
export { ALLOCATORS, allocatorOf } from "./planning/allocators/index.ts";
export { type Budget, type BudgetSources, type FreeMemory, resolveBudget } from "./planning/budget/budget.ts";
export { DeviceProfile } from "./planning/budget/device-profile.ts";
export { parseBytes } from "./planning/budget/size-expression.ts";
export { loadHighs, loadSolverFor } from "./planning/optimal/highs-solver.ts";
export type { Milp, MilpColumn, MilpSolver } from "./planning/optimal/milp.ts";
export { feasibleRange, makePlan } from "./planning/plan.ts";
export { PlanSettings } from "./planning/plan-settings.ts";
export { createPlanner, type FeasibleRange, type Planner, type PlanRequest } from "./planning/planner.ts";
export { type Sweep, type SweepPoint, sweepBudgets } from "./planning/sweep.ts";
export { type UniformPlan, uniformPlans } from "./planning/uniform-plans.ts";
export { Scores } from "./scoring/scores.ts";
export { formatBytes } from "./size-text.ts";
