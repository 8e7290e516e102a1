import { idOf } from "../model/matrix-id.ts";
import type { WeightSource } from "../model/weight-source.ts";
import { allocatorOf } from "../planning/allocators/index.ts";
import { type MatrixToPlan, matricesToPlan } from "../planning/problem/matrices.ts";
import { cutSpec } from "../pruning/cut.ts";
import type { Done, Job } from "./job.ts";
import { addedShapes, type RunRequest } from "./plan-request.ts";
import { type PrunedModel, sourceOfPruned } from "./pruned-model.ts";
import type { Recipe } from "./recipe.ts";
import { hashOf } from "./step-key.ts";
import { pruneStep } from "./steps/prune.ts";
import { weightsStep } from "./steps/weights.ts";

/** A model that is scored, planned or packed: the checkpoint, or what pruning has left of it. */
export interface WorkModel {
  readonly source: WeightSource;
  /** Names its contents. */
  readonly id: string;
  readonly request: RunRequest;
  /** Every matrix with the codecs that a plan may give it. */
  readonly matrices: readonly MatrixToPlan[];
  /** Element type that a matrix is stored in. */
  storedDtype(id: string): string;
}

/** What is scored and planned, for `job.once`: the checkpoint, less what the recipe takes out of it by a ratio. */
export async function plannedModelOf(job: Job): Promise<WorkModel> {
  const pruned = await job.ask(pruneStep);
  return pruned ? modelOfPruned(job, pruned) : checkpointModel(job);
}

/** The checkpoint as a step has pruned it. */
export async function modelOfPruned(job: Job, { value, id: prunedId }: Done<PrunedModel>): Promise<WorkModel> {
  const { request } = job.origin;
  const { id } = await job.get(weightsStep);
  if (value.changed.length === 0) return checkpointModel(job);
  const asked = prunedRequest(job.recipe, request, value);
  return {
    ...{ source: sourceOfPruned(job, value), request: asked, matrices: matricesOf(job.recipe, asked) },
    id: hashOf({ checkpoint: id, pruned: prunedId }),
    storedDtype: (matrix) => (value.repaired.includes(matrix) ? "F32" : storedDtypeIn(job, matrix)),
  };
}

/** Element type of a matrix that work begins with: what an adapter was merged into is in f32. */
function storedDtypeIn({ origin: { checkpoint, adapter } }: Job, matrix: string): string {
  const isMerged = adapter?.parts.some(({ block, role }) => idOf(block, role) === matrix);
  return isMerged ? "F32" : checkpoint.storedDtype(matrix);
}

/** What is asked of a run, for what pruning has left of the model. */
export function prunedRequest(recipe: Recipe, request: RunRequest, { cuts }: PrunedModel): RunRequest {
  const spec = cutSpec(request.spec, cuts);
  return { ...request, spec, ...addedShapes(recipe, spec) };
}

async function checkpointModel(job: Job): Promise<WorkModel> {
  const { source, request } = job.origin;
  const { id } = await job.get(weightsStep);
  const storedDtype = (matrix: string) => storedDtypeIn(job, matrix);
  return { source, id, request, matrices: matricesOf(job.recipe, request), storedDtype };
}

function matricesOf({ plan }: Recipe, { spec, storedDtype }: RunRequest): MatrixToPlan[] {
  return matricesToPlan(allocatorOf(plan).grain, { spec, settings: plan, storedDtype });
}
