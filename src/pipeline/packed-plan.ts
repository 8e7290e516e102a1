import type { Plan } from "../artifact/plan.ts";
import type { WeightSource } from "../model/weight-source.ts";
import { allocatorOf } from "../planning/allocators/index.ts";
import { loadSolverFor } from "../planning/optimal/highs-solver.ts";
import { createPlanner } from "../planning/planner.ts";
import { uniformPlans } from "../planning/uniform-plans.ts";
import type { RefinerSetup } from "../training/rounding/block-refiner.ts";
import type { Job } from "./job.ts";
import { rangedRequest } from "./kv-range.ts";
import { plannedModelOf, type WorkModel } from "./model.ts";
import { packedModelOf } from "./packed-model.ts";
import { libraryOf, underPlan } from "./packing.ts";
import { libraryStep } from "./steps/library.ts";
import { planStep } from "./steps/plan.ts";
import { learningOf, requantizedOf, requantizedStep } from "./steps/requantized.ts";
import { scoresStep } from "./steps/scores.ts";

/** The matrices of a plan. */
export interface PackedPlan {
  /** What it is a plan of. */
  readonly model: WorkModel;
  /** Null: the quantizer needs no statistics, and they are quantized while they are written. */
  readonly packed: WeightSource | null;
  /** What learned numbers in them depend on; null where there are none. */
  readonly learning: RefinerSetup["facts"] | null;
}

/**
 * The plan's own matrices, for `job.once`: requantized where the recipe says so, else out of the library where there is
 * one.
 */
export async function packedPlan(job: Job): Promise<PackedPlan> {
  const { value: plan } = await job.get(planStep);
  const model = await job.once(packedModelOf);
  if (!(await job.ask(libraryStep))) return { model, packed: null, learning: null };
  if (!(await job.ask(requantizedStep))) return libraryPlan(job, plan);
  const learning = await job.once(learningOf);
  return {
    model,
    packed: underPlan(model, await job.once(requantizedOf), plan),
    learning: learning?.facts ?? null,
  };
}

/** A plan that the library has all matrices of. */
export async function libraryPlan(job: Job, plan: Plan): Promise<PackedPlan> {
  const model = await job.once(plannedModelOf);
  return { model, packed: underPlan(model, await job.once(libraryOf), plan), learning: null };
}

/**
 * The best plan with every block whole, for `job.once`: what a plan that leaves something out has to beat; null where
 * it leaves out nothing, or nothing whole fits.
 */
export async function wholeRival(job: Job): Promise<Plan | null> {
  const { value: plan } = await job.get(planStep);
  if (!plan.pruning?.cuts.some((cut) => cut !== null) || (plan.pruning.wholeLoss ?? null) === null) return null;
  const scores = (await job.ask(scoresStep))?.value ?? null;
  const { request } = await job.once(rangedRequest);
  const solver = await loadSolverFor(allocatorOf(request.recipe.plan));
  return createPlanner({ ...request, scores }, solver).plan(plan.budgetBytes);
}

/**
 * The uniform plan to beat, for `job.once`: of those that take no more bytes the one with the least predicted loss,
 * without one the largest; null where none takes as few.
 */
export async function uniformRival(job: Job): Promise<Plan | null> {
  const { value: plan } = await job.get(planStep);
  const scores = (await job.ask(scoresStep))?.value ?? null;
  const { request } = await job.once(rangedRequest);
  return leastLoss(
    uniformPlans(createPlanner({ ...request, scores })).map((uniform) => uniform.plan),
    plan,
  );
}

/**
 * Of the rivals with the plan's KV type and no more bytes the one with the least predicted loss, without one the
 * largest.
 */
export function leastLoss(rivals: readonly Plan[], plan: Plan): Plan | null {
  const worth = ({ predictedLoss, memory }: Plan) => predictedLoss ?? -memory.totalBytes;
  return rivals
    .filter(({ memory }) => memory.totalBytes <= plan.memory.totalBytes && memory.kvType === plan.memory.kvType)
    .reduce<Plan | null>((best, one) => (best && worth(best) <= worth(one) ? best : one), null);
}
