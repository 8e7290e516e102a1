import type { Provenance } from "../artifact/manifest.ts";
import type { Job } from "./job.ts";
import { modelOfPruned, plannedModelOf, type WorkModel } from "./model.ts";
import { plannedPruneStep } from "./steps/planned-prune.ts";
import { pruneStep } from "./steps/prune.ts";

/** What is packed, for `job.once`: what was planned, less what the plan leaves out. */
export async function packedModelOf(job: Job): Promise<WorkModel> {
  const pruned = await job.ask(plannedPruneStep);
  return pruned ? modelOfPruned(job, pruned) : job.once(plannedModelOf);
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
  const pruned = (await job.got(plannedPruneStep)) ?? (await job.got(pruneStep));
  return pruned?.blocks ?? null;
}
