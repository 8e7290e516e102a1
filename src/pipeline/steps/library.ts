import { matrixQuantizerOf } from "../../quantization/index.ts";
import { buildLibrary } from "../../quantization/library/build-library.ts";
import type { Step } from "../job.ts";
import { plannedModelOf, type WorkModel } from "../model.ts";
import { libraryOf, missingIn, PackingCosts, type Pair, packingOf } from "../packing.ts";
import { usesLibrary } from "../recipe.ts";
import { calibrationStep } from "./calibration.ts";

/** Packs every matrix at every codec that a plan may give it: whatever `library/` lacks. */
export const libraryStep: Step<PackingCosts> = {
  name: "library",
  schema: PackingCosts,
  wanted: usesLibrary,

  async inputs(job) {
    const model = await job.once(plannedModelOf);
    await job.get(calibrationStep);
    const quantizer = matrixQuantizerOf(job.recipe.quantize.quantizer);
    return { quantizer, codecs: Object.fromEntries(codecsOf(model)) };
  },

  async compute(job) {
    const library = await job.once(libraryOf);
    const model = await job.once(plannedModelOf);
    const codecs = codecsOf(model);
    await buildLibrary(library, { ...(await packingOf(job, model)), codecsOf: (id) => codecs.get(id) ?? [] });
    return { codecs: await library.costs(pairsOf(model)) };
  },

  check: async (job) => missingIn(await job.once(libraryOf), pairsOf(await job.once(plannedModelOf))),
};

function codecsOf({ matrices }: WorkModel) {
  return new Map(matrices.map(({ id, candidates }) => [id, candidates]));
}

function pairsOf({ matrices }: WorkModel): Pair[] {
  return matrices.flatMap(({ id, candidates }) => candidates.map((codec): Pair => [id, codec]));
}
