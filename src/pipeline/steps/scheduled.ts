import { z } from "zod";
import { Sha256 } from "../../artifact/manifest.ts";
import { openArtifact, readManifest } from "../../artifact/reader.ts";
import { readSchedule, ScheduleRow, scheduleMachine, writeSchedule } from "../../artifact/schedule.ts";
import { UserError } from "../../errors.ts";
import { describeExecutor } from "../../runtime/describe-executor.ts";
import { EXECUTORS } from "../../runtime/executors.ts";
import type { Job, Step } from "../job.ts";
import { artifactStep } from "./artifact.ts";
import { exitsStep } from "./exits.ts";
import { tuneStep } from "./tune.ts";

/** What `scheduled.json` holds: for which artifact the search was made, and what it chose. */
export const Scheduled = z.strictObject({
  manifestSha256: Sha256,
  /** Null: the executor here cannot hold weights in the places that are searched, so that nothing was measured. */
  chosen: ScheduleRow.nullable(),
});
export type Scheduled = z.infer<typeof Scheduled>;

/** Measures how the finished artifact runs fastest on this machine, and writes that beside its files. */
export const scheduledStep: Step<Scheduled> = {
  name: "scheduled",
  schema: Scheduled,
  perDevice: true,
  wanted: ({ schedule }) => schedule !== undefined,

  async inputs(job) {
    await job.get(artifactStep);
    await job.ask(tuneStep);
    await job.ask(exitsStep);
    const { manifestSha256 } = await readManifest(job.artifactFolder);
    const { executor, threads } = await executorOf(job);
    return { manifestSha256, executor, threads, machine: scheduleMachine(), settings: job.recipe.schedule };
  },

  async compute(job) {
    const { onProgress, signal } = job.options;
    const { manifestSha256 } = await readManifest(job.artifactFolder);
    const { executor, threads } = await executorOf(job);
    const settings = job.recipe.schedule;
    if (!settings) throw new Error("the recipe has no schedule");
    if (!EXECUTORS[executor].traits.streams) return { manifestSha256, chosen: null };
    const { makeSchedule } = await import("../../bench/schedule/make-schedule.ts");
    const artifact = await openArtifact(job.artifactFolder, { mapFile: null });
    try {
      const schedule = await makeSchedule(artifact, {
        ...{ ...settings, executor, memoryLimitBytes: null, otherText: false },
        ...{ mostThreads: threads ?? 1, signal, onProgress },
      });
      await writeSchedule(job.artifactFolder, schedule);
      return { manifestSha256, chosen: schedule.chosen };
    } finally {
      await artifact.close();
    }
  },

  async check(job, { manifestSha256, chosen }) {
    if (chosen === null) return null;
    try {
      const found = await readSchedule(job.artifactFolder);
      return found?.manifestSha256 === manifestSha256 ? null : "the artifact has no schedule any more";
    } catch (error) {
      if (error instanceof UserError) return "the artifact's schedule is damaged";
      throw error;
    }
  },
};

/** What runs the artifact here, and its threads. */
function executorOf({ options: { executor, threads } }: Job) {
  return describeExecutor({ executor, threads });
}
