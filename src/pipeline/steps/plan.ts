import { Plan } from "../../artifact/plan.ts";
import { allocatorOf } from "../../planning/allocators/index.ts";
import { loadSolverFor } from "../../planning/optimal/highs-solver.ts";
import { makePlan } from "../../planning/plan.ts";
import type { Step } from "../job.ts";
import { rangedRequest } from "../kv-range.ts";
import { plannedModelOf } from "../model.ts";
import { measuredForms } from "../planned-pruning.ts";
import { prunesByPlan } from "../prune-settings.ts";
import { scoresStep } from "./scores.ts";
import { sensitivityStep } from "./sensitivity.ts";

/**
 * Gives every matrix a codec so that the memory sum fits the budget, by scores where the allocator needs them; and
 * chooses what each block loses, where the recipe leaves it to the plan.
 */
export const planStep: Step<Plan> = {
  name: "plan",
  schema: Plan,
  perDevice: true,

  /** The spec is the model's. */
  async inputs(job) {
    await job.once(plannedModelOf);
    await job.ask(scoresStep);
    if (prunesByPlan(job.recipe)) await job.get(sensitivityStep);
    const { budget } = job.origin;
    const { request } = await job.once(rangedRequest);
    const { spec: _, ...asked } = request;
    return { ...asked, recipe: request.recipe.plan, budgetBytes: budget.bytes };
  },

  async compute(job) {
    const { budget } = job.origin;
    const { request } = await job.once(rangedRequest);
    const scores = (await job.ask(scoresStep))?.value ?? null;
    const pruning = prunesByPlan(job.recipe) ? (await job.get(sensitivityStep)).value : null;
    const forms = pruning ? measuredForms(request.spec, pruning) : undefined;
    const solver = await loadSolverFor(allocatorOf(request.recipe.plan));
    return makePlan({ ...request, forms, scores, budgetBytes: budget.bytes }, solver);
  },
};
