import { z } from "zod";
import { sourceContents } from "../../artifact/source-contents.ts";
import { keyValueBound } from "../../calibration/kv-bound.ts";
import { keyOfMarks } from "../../formats/file-mark.ts";
import type { Checkpoint } from "../../model/checkpoint.ts";
import { checkWeights } from "../../model/checkpoint-check.ts";
import type { WorkOptions } from "../../progress.ts";
import type { Step } from "../job.ts";

/** What `weights.json` holds: the contents that were read, and that every weight is finite. */
export const CheckedWeights = z.strictObject({
  /** sha256 over config, headers and the contents of all weights files: names the checkpoint from here on. */
  checkpointId: z.string(),
  files: z.array(z.strictObject({ name: z.string(), bytes: z.number(), sha256: z.string() })),
  /** What no key and no value exceeds; null: the weights bound none. */
  keyValueBound: z.number().nullable(),
});
export type CheckedWeights = z.infer<typeof CheckedWeights>;

/** Reads every weight once; one that is not finite ends the run. */
export const weightsStep: Step<CheckedWeights> = {
  name: "weights",
  schema: CheckedWeights,
  id: ({ checkpointId }) => checkpointId,
  /** By what a change of the weights files is noticed without reading them. */
  async inputs({ origin: { checkpoint } }) {
    return { headers: checkpoint.id, files: keyOfMarks(checkpoint.files) };
  },
  compute: (job) => readWeights(job.origin.checkpoint, job.options),
};

/** Throws UserError naming the first tensor with NaN or infinite values, and their count. */
async function readWeights(checkpoint: Checkpoint, work: WorkOptions): Promise<CheckedWeights> {
  await checkWeights(checkpoint, work);
  const { id, files } = await sourceContents(checkpoint, work.signal);
  return { checkpointId: id, files: [...files], keyValueBound: await keyValueBound(checkpoint) };
}
