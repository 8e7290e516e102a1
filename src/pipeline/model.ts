import type { Provenance } from "../artifact/manifest.ts";
import type { WeightSource } from "../model/weight-source.ts";
import { allocatorOf } from "../planning/allocators/index.ts";
import { type MatrixToPlan, matricesToPlan } from "../planning/problem/matrices.ts";
import { cutSpec } from "../pruning/cut.ts";
import { prunedSource } from "../pruning/pruned-source.ts";
import { exitShapeOf } from "./exit-settings.ts";
import type { Job } from "./job.ts";
import type { RunRequest } from "./plan-request.ts";
import { prunesByPlan } from "./prune-settings.ts";
import type { Recipe } from "./recipe.ts";
import { hashOf } from "./step-key.ts";
import { type PrunedModel, prunedBlocksOf, pruneStep } from "./steps/prune.ts";
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

/**
 * What is scored and planned, for `job.once`: where the plan says what is pruned, the checkpoint.
 */
export function plannedModelOf(job: Job): Promise<WorkModel> {
  return job.once(prunesByPlan(job.recipe) ? checkpointModel : modelOf);
}

async function checkpointModel(job: Job): Promise<WorkModel> {
  const { checkpoint, request } = job.origin;
  const { id } = await job.get(weightsStep);
  const storedDtype = (matrix: string) => checkpoint.storedDtype(matrix);
  return { source: checkpoint, id, request, matrices: matricesOf(job.recipe, request), storedDtype };
}

/** The model of a job that begins at a checkpoint, for `job.once`: what is packed. */
export async function modelOf(job: Job): Promise<WorkModel> {
  const { checkpoint, request } = job.origin;
  const { id } = await job.get(weightsStep);
  const pruned = await job.ask(pruneStep);
  if (!pruned || pruned.value.changed.length === 0) return job.once(checkpointModel);
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
export function prunedRequest({ exits }: Recipe, request: RunRequest, { cuts }: PrunedModel): RunRequest {
  const spec = cutSpec(request.spec, cuts);
  return { ...request, spec, exits: exits && exitShapeOf(exits, spec) };
}

/**
 * What the job's artifact says of its pruning; null: there is none, or none yet. `shipped`: the model that ships, which
 * is the checkpoint where a plan of whole blocks takes the place of one that prunes.
 */
export async function pruningOf(
  job: Job,
  shipped: WorkModel | null,
): Promise<NonNullable<Provenance["pruning"]> | null> {
  if (shipped?.source === job.origin.checkpoint) return null;
  const pruned = await job.got(pruneStep);
  return pruned && pruned.blocks;
}

function matricesOf({ plan }: Recipe, { spec, storedDtype }: RunRequest): MatrixToPlan[] {
  return matricesToPlan(allocatorOf(plan).grain, { spec, settings: plan, storedDtype });
}
