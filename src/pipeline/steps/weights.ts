import { z } from "zod";
import { sourceContents } from "../../artifact/source-contents.ts";
import { keyValueBound } from "../../calibration/kv-bound.ts";
import { keyOfMarks } from "../../formats/file-mark.ts";
import { checkWeights } from "../../model/checkpoint-check.ts";
import type { WorkOptions } from "../../progress.ts";
import type { Origin, Step } from "../job.ts";
import { hashOf } from "../step-key.ts";

/** What `weights.json` holds: the contents that were read, and that every weight is finite. */
export const CheckedWeights = z.strictObject({
  /** sha256 over config, headers and the contents of all weights files: names the checkpoint from here on. */
  checkpointId: z.string(),
  files: z.array(z.strictObject({ name: z.string(), bytes: z.number(), sha256: z.string() })),
  /** What no key and no value exceeds; null: the weights bound none. */
  keyValueBound: z.number().nullable(),
  /** Names the adapter that is merged into them; absent: none. */
  adapter: z.string().optional(),
});
export type CheckedWeights = z.infer<typeof CheckedWeights>;

/** Reads every weight once; one that is not finite ends the run. */
export const weightsStep: Step<CheckedWeights> = {
  name: "weights",
  schema: CheckedWeights,
  id: ({ checkpointId, adapter }) => (adapter === undefined ? checkpointId : hashOf({ checkpointId, adapter })),
  /** By what a change of the weights files is noticed without reading them. */
  async inputs({ origin: { checkpoint, adapter } }) {
    const files = { headers: checkpoint.id, files: keyOfMarks(checkpoint.files) };
    return adapter ? { ...files, adapter: adapter.identity } : files;
  },
  compute: (job) => readWeights(job.origin, job.options),
};

/** Throws UserError naming the first tensor with NaN or infinite values, and their count. */
async function readWeights({ checkpoint, adapter, source }: Origin, work: WorkOptions): Promise<CheckedWeights> {
  await checkWeights(checkpoint, work);
  const { id, files } = await sourceContents(checkpoint, work.signal);
  const named = adapter ? { adapter: hashOf(adapter.identity.files) } : {};
  return { checkpointId: id, files: [...files], keyValueBound: await keyValueBound(source), ...named };
}
