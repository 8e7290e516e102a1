import { Plan } from "../../artifact/plan.ts";
import { allocatorOf } from "../../planning/allocators/index.ts";
import { loadSolverFor } from "../../planning/optimal/highs-solver.ts";
import { makePlan } from "../../planning/plan.ts";
import type { Step } from "../job.ts";
import { rangedRequest } from "../kv-range.ts";
import { modelOf } from "../model.ts";
import { scoresStep } from "./scores.ts";

/** Gives every matrix a codec so that the memory sum fits the budget; by scores where the allocator needs them. */
export const planStep: Step<Plan> = {
  name: "plan",
  schema: Plan,
  perDevice: true,

  /** The spec is the model's. */
  async inputs(job) {
    await job.once(modelOf);
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
