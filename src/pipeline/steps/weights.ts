import { createHash } from "node:crypto";
import path from "node:path";
import { z } from "zod";
import { hashFile } from "../../artifact/content-hash.ts";
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
  const files: CheckedWeights["files"] = [];
  for (const file of checkpoint.files) {
    files.push({
      name: path.basename(file.path),
      bytes: file.bytes,
      sha256: (await hashFile(file.path, [], work.signal)).sha256,
    });
  }
  const hash = createHash("sha256").update(checkpoint.id);
  for (const { sha256 } of files) hash.update(sha256);
  return { checkpointId: hash.digest("hex"), files, keyValueBound: await keyValueBound(checkpoint) };
}
