import type { Provenance } from "../artifact/manifest.ts";
import type { WeightSource } from "../model/weight-source.ts";
import { allocatorOf } from "../planning/allocators/index.ts";
import { type MatrixToPlan, matricesToPlan } from "../planning/problem/matrices.ts";
import { cutSpec } from "../pruning/cut.ts";
import { prunedSource } from "../pruning/pruned-source.ts";
import type { Job } from "./job.ts";
import { addedShapes, type RunRequest } from "./plan-request.ts";
import type { Recipe } from "./recipe.ts";
import { hashOf } from "./step-key.ts";
import { type PrunedModel, prunedBlocksOf, pruneStep } from "./steps/prune.ts";
import { weightsStep } from "./steps/weights.ts";

/** What is scored, planned and packed: the checkpoint, or what the recipe's pruning has left of it. */
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

/** The model of a job that begins at a checkpoint, for `job.once`. */
export async function modelOf(job: Job): Promise<WorkModel> {
  const { checkpoint, request } = job.origin;
  const { id } = await job.get(weightsStep);
  const pruned = await job.ask(pruneStep);
  if (!pruned) {
    const storedDtype = (matrix: string) => checkpoint.storedDtype(matrix);
    return { source: checkpoint, id, request, matrices: matricesOf(job.recipe, request), storedDtype };
  }
  const { cuts, key, repaired } = pruned.value;
  const asked = prunedRequest(job.recipe, request, pruned.value);
  const source = prunedSource({
    ...{ source: checkpoint, spec: asked.spec, cutOf: (block) => cuts[block] },
    repaired: prunedBlocksOf(job, key),
  });
  return {
    ...{ source, request: asked, matrices: matricesOf(job.recipe, asked) },
    id: hashOf({ checkpoint: id, pruned: pruned.id }),
    storedDtype: (matrix) => (repaired.includes(matrix) ? "F32" : checkpoint.storedDtype(matrix)),
  };
}

/** What is asked of a run, for what pruning has left of the model. */
export function prunedRequest(recipe: Recipe, request: RunRequest, { cuts }: PrunedModel): RunRequest {
  const spec = cutSpec(request.spec, cuts);
  return { ...request, spec, ...addedShapes(recipe, spec) };
}

/** What the job's artifact says of its pruning; null: there is none, or none yet. */
export async function pruningOf(job: Job): Promise<NonNullable<Provenance["pruning"]> | null> {
  const pruned = await job.got(pruneStep);
  return pruned && { kind: pruned.kind, kept: pruned.kept, slices: pruned.slices };
}

function matricesOf({ plan }: Recipe, { spec, storedDtype }: RunRequest): MatrixToPlan[] {
  return matricesToPlan(allocatorOf(plan).grain, { spec, settings: plan, storedDtype });
}
