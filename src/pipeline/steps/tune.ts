import path from "node:path";
import { z } from "zod";
import { addAdapter } from "../../artifact/adapter/add.ts";
import { makeBare } from "../../artifact/bare.ts";
import { hashFile } from "../../artifact/content-hash.ts";
import { trunkSha256 } from "../../artifact/exits/add.ts";
import { Sha256 } from "../../artifact/manifest.ts";
import { nullOn } from "../../errors.ts";
import { makeFolders, removeFolder } from "../../formats/make-folders.ts";
import { DepthLoss, depthLosses } from "../depth-losses.ts";
import type { Job, Step } from "../job.ts";
import { openTrunk } from "../trunk.ts";
import { TUNED_DTYPE, tuneSettingsOf } from "../tune-settings.ts";
import { artifactStep } from "./artifact.ts";

/** Where the state of the tuning is kept in the run folder until it is done. */
const TUNING_FOLDER = "tuning";

/** What `tune.json` holds: which artifact the adapter was added to, as it then was, and what was learned. */
export const Tuned = z.strictObject({
  manifestSha256: Sha256,
  examples: z.strictObject({ train: z.number().int(), heldOut: z.number().int() }),
  /** At the end of each window; the last is the model's own. */
  losses: z.array(DepthLoss),
});
export type Tuned = z.infer<typeof Tuned>;

/**
 * Learns an adapter on the packed model, a window of blocks at a time, and adds it to the artifact in place of any that
 * it has; exits of the one from before go with it. A stopped run goes on at its step.
 */
export const tuneStep: Step<Tuned> = {
  name: "tune",
  schema: Tuned,
  perDevice: true,
  wanted: ({ tune }) => tune !== undefined,
  id: ({ manifestSha256 }) => manifestSha256,

  async inputs(job) {
    await job.get(artifactStep);
    const { data: _, ...settings } = tuneSettingsOf(job.recipe);
    const files = await Promise.all(textsOf(job).map(async (file) => (await hashFile(file)).sha256));
    const { executor } = await openTrunk(job.artifactFolder, job.options);
    return { settings, files, executor };
  },

  async compute(job) {
    const { tuningExamples } = await import("../tuning-text.ts");
    const { tuneModel } = await import("../../training/tuning/tune-model.ts");
    const { activeParts } = await import("../../training/tuning/parameters.ts");
    const { onProgress, signal } = job.options;
    const { data: _, ...settings } = tuneSettingsOf(job.recipe);
    const { tokenizer, overBudget } = job.facts;
    const folder = path.join(job.folder, job.named(TUNING_FOLDER));
    await makeFolders(folder);
    const examples = await tuningExamples({ data: textsOf(job), heldOutFile: null }, settings, tokenizer);
    await makeBare(job.artifactFolder);
    const trunk = await openTrunk(job.artifactFolder, job.options);
    const tuned = await trunk.use((executor, source) =>
      tuneModel({ source, executor, modelId: trunk.sha256, ...examples, settings, folder, onProgress, signal }),
    );
    const { manifestSha256 } = await addAdapter(job.artifactFolder, {
      ...{ parts: activeParts(tuned.parts), dtype: TUNED_DTYPE, origin: { tuning: settings }, overBudget, signal },
    });
    await removeFolder(folder);
    return {
      manifestSha256,
      examples: { train: examples.train.length, heldOut: examples.heldOut.length },
      losses: depthLosses(tuned),
    };
  },

  async check(job, { manifestSha256 }) {
    const found = await nullOn("FILE_NOT_FOUND", () => trunkSha256(job.artifactFolder));
    return found === manifestSha256 ? null : "the artifact has another adapter, or none";
  },
};

/** The recipe's own text, or the calibration's. */
function textsOf({ recipe, options: { calibration } }: Job): readonly string[] {
  return tuneSettingsOf(recipe).data ?? calibration.map((file) => file.path);
}
