import { matrixQuantizerOf } from "../../quantization/index.ts";
import { buildLibrary } from "../../quantization/library/build-library.ts";
import type { Job, Step } from "../job.ts";
import { libraryOf, missingIn, PackingCosts, type Pair, packingOf } from "../packing.ts";
import { usesLibrary } from "../recipe.ts";
import { calibrationStep } from "./calibration.ts";
import { weightsStep } from "./weights.ts";

/** Packs every matrix at every codec that a plan may give it: whatever `library/` lacks. */
export const libraryStep: Step<PackingCosts> = {
  name: "library",
  schema: PackingCosts,
  wanted: usesLibrary,

  async inputs(job) {
    await job.get(weightsStep);
    await job.get(calibrationStep);
    const quantizer = matrixQuantizerOf(job.recipe.quantize.quantizer);
    return { quantizer, codecs: Object.fromEntries(codecsOf(job)) };
  },

  async compute(job) {
    const library = await job.once(libraryOf);
    const codecs = codecsOf(job);
    await buildLibrary(library, { ...(await packingOf(job)), codecsOf: (id) => codecs.get(id) ?? [] });
    return { codecs: await library.costs(pairsOf(job)) };
  },

  check: async (job) => missingIn(await job.once(libraryOf), pairsOf(job)),
};

function codecsOf({ origin: { matrices } }: Job) {
  return new Map(matrices.map(({ id, candidates }) => [id, candidates]));
}

function pairsOf({ origin: { matrices } }: Job): Pair[] {
  return matrices.flatMap(({ id, candidates }) => candidates.map((codec): Pair => [id, codec]));
}
