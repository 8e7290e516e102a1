import { isBlockQuantizer, QUANTIZERS } from "../quantization/index.ts";
import type { RefinerSetup } from "../training/rounding/block-refiner.ts";
import type { Job } from "./job.ts";

/** How the blocks of a plan are refined. */
export type Learning = RefinerSetup;

/** What the recipe's quantizer does with whole blocks, for `job.once`; null where it has matrices only. Throws as its `prepare` does. */
export async function learningOf({ recipe, options: { backend, threads } }: Job): Promise<Learning | null> {
  const { quantizer, iterations } = recipe.quantize;
  if (!isBlockQuantizer(quantizer)) return null;
  return QUANTIZERS[quantizer].prepare({ iterations, seed: recipe.seed, backend, threads });
}
