import type { Job } from "./job.ts";
import { artifactStep } from "./steps/artifact.ts";
import { openTrunk, type Trunk } from "./trunk.ts";

/** The packed model that the job's exits are for, for `job.once`. Throws UserError as {@link openTrunk}. */
export async function trunkOf(job: Job): Promise<Trunk> {
  await job.get(artifactStep);
  return openTrunk(job.artifactFolder, job.options);
}
