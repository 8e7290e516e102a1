import { type CompressResult, resultOf } from "./compress-result.ts";
import { type CheckpointJob, withJob } from "./open-job.ts";
import { type StepName, stepsUntil } from "./steps/index.ts";
import { planStep } from "./steps/plan.ts";

export interface CompressOptions extends CheckpointJob {
  /** The last step to run; default: all. */
  readonly until?: StepName | undefined;
}

/**
 * The whole story: a checkpoint becomes an artifact that fits a byte budget, by the steps of steps/index.ts as far as
 * the recipe has them. Each leaves a file in the run folder and is skipped when its inputs have not changed. Throws
 * UserError for what the user can mend, Interrupted when stopped.
 */
export async function compress(options: CompressOptions): Promise<CompressResult> {
  const steps = stepsUntil(options.until ?? "scheduled");
  return withJob(options, { plans: steps.some(({ name }) => name === planStep.name) }, async (job) => {
    for (const step of steps) await job.ask(step);
    return resultOf(job);
  });
}
