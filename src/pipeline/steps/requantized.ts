import type { Plan } from "../../artifact/plan.ts";
import { codecIdOf } from "../../codecs/index.ts";
import { isBlockQuantizer, QUANTIZERS } from "../../quantization/index.ts";
import { buildLibrary } from "../../quantization/library/build-library.ts";
import type { MatrixLibrary } from "../../quantization/library/matrix-library.ts";
import type { RefinerSetup } from "../../training/rounding/block-refiner.ts";
import type { Job, Step } from "../job.ts";
import { packedModelOf } from "../packed-model.ts";
import { libraryOf, missingIn, openLibrary, PackingCosts, packingOf, planPairs } from "../packing.ts";
import { prunesByPlan } from "../prune-settings.ts";
import { usesLibrary } from "../recipe.ts";
import { hashOf } from "../step-key.ts";
import { libraryStep } from "./library.ts";
import { planStep } from "./plan.ts";

/**
 * The plan's matrices packed anew, block by block, on the inputs that its own blocks produce; refined where the recipe
 * learns. Without `requantize` those of a model that the plan has pruned, on that model's inputs.
 */
export const requantizedStep: Step<PackingCosts> = {
  name: "requantized",
  schema: PackingCosts,
  perDevice: true,
  /** A library has no matrices of what a plan prunes. */
  wanted: (recipe) => usesLibrary(recipe) && (recipe.quantize.requantize || prunesByPlan(recipe)),

  async inputs(job) {
    await job.get(libraryStep);
    if (prunesByPlan(job.recipe)) await job.once(packedModelOf);
    // Plans of other budgets that choose the same codecs have the same matrices.
    await job.askPart(planStep, "codecs", codecsOf);
    const learning = await job.once(learningOf);
    const { requantize } = job.recipe.quantize;
    return { ...(requantize ? {} : { requantize }), ...(learning ? { learning: learning.facts } : {}) };
  },

  async compute(job) {
    const { value: plan } = await job.get(planStep);
    const library = await job.once(requantizedOf);
    const codecs = new Map(plan.units.map(({ id, codec }) => [id, [codecIdOf(codec)]]));
    const options = await packingOf(job, await job.once(packedModelOf));
    const refiner = await (await job.once(learningOf))?.open(options);
    try {
      const sequentialFrom = job.recipe.quantize.requantize ? await job.once(libraryOf) : undefined;
      await buildLibrary(library, { ...options, codecsOf: (id) => codecs.get(id) ?? [], sequentialFrom, refiner });
    } finally {
      await refiner?.close();
    }
    return { codecs: await library.costs(planPairs(plan)) };
  },

  async check(job) {
    const library = await job.once(requantizedOf);
    const blocks = (await job.once(learningOf)) ? (await job.once(packedModelOf)).source.spec.blocks.keys() : [];
    for (const block of blocks)
      if (!(await library.hasVectors(block))) return `the learned vectors of block ${block} are not there any more`;
    return missingIn(library, planPairs((await job.get(planStep)).value));
  },
};

/**
 * How the recipe's quantizer refines whole blocks, for `job.once`; null where it has matrices only. Throws as its
 * `prepare` does.
 */
export async function learningOf({ recipe, options: { backend, threads } }: Job): Promise<RefinerSetup | null> {
  const { quantizer, iterations } = recipe.quantize;
  if (!isBlockQuantizer(quantizer)) return null;
  return QUANTIZERS[quantizer].prepare({ iterations, seed: recipe.seed, backend, threads });
}

/** The matrices of the plan, packed on the inputs that its own blocks produce. For `job.once`. */
export async function requantizedOf(job: Job): Promise<MatrixLibrary> {
  const codecs = codecsOf((await job.get(planStep)).value);
  const learning = await job.once(learningOf);
  const plan = hashOf(learning ? { codecs, learning: learning.facts } : codecs);
  const { quantizer, requantize } = job.recipe.quantize;
  const model = await job.once(packedModelOf);
  // By the model's own inputs a matrix is the same under every plan.
  return openLibrary(job, model, { quantizer, plan: requantize ? plan : null });
}

function codecsOf(plan: Plan): Record<string, string> {
  return Object.fromEntries(planPairs(plan));
}
