import { Plan } from "../../artifact/plan.ts";
import { allocatorOf } from "../../planning/allocators/index.ts";
import { loadSolverFor } from "../../planning/optimal/highs-solver.ts";
import { makePlan } from "../../planning/plan.ts";
import type { Step } from "../job.ts";
import { rangedRequest } from "../kv-range.ts";
import { scoresStep } from "./scores.ts";
import { weightsStep } from "./weights.ts";

/** Gives every matrix a codec so that the memory sum fits the budget; by scores where the allocator needs them. */
export const planStep: Step<Plan> = {
  name: "plan",
  schema: Plan,
  perDevice: true,

  /** The spec is the checkpoint's. */
  async inputs(job) {
    await job.get(weightsStep);
    await job.ask(scoresStep);
    const { budget } = job.origin;
    const { request } = await job.once(rangedRequest);
    const { spec: _, ...asked } = request;
    return { ...asked, recipe: request.recipe.plan, budgetBytes: budget.bytes };
  },

  async compute(job) {
    const { budget } = job.origin;
    const { request } = await job.once(rangedRequest);
    const scores = (await job.ask(scoresStep))?.value ?? null;
    const solver = await loadSolverFor(allocatorOf(request.recipe.plan));
    return makePlan({ ...request, scores, budgetBytes: budget.bytes }, solver);
  },
};
