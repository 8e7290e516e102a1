import type { Job } from "./job.ts";
import { artifactStep } from "./steps/artifact.ts";
import { tuneStep } from "./steps/tune.ts";
import { openTrunk, type Trunk } from "./trunk.ts";

/** The packed model as exits are trained on it, tuned where the recipe tunes; for `job.once`. Throws as `openTrunk`. */
export async function trunkOf(job: Job): Promise<Trunk> {
  await job.get(artifactStep);
  await job.ask(tuneStep);
  return openTrunk(job.artifactFolder, job.options);
}
