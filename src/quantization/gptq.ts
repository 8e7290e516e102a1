import { groupedFactor, type OrderedFactor } from "./grouped-factor.ts";
import { keepLargest } from "./keep-largest.ts";
import type { Quantizer } from "./quantizer.ts";
import { levelsOf, searchScales } from "./scale-search.ts";
import { checkFinite, factorOf, floatNumbers } from "./weight-checks.ts";

/**
 * Passes of refinement over all columns: the second takes about a third as much off as the first, a third one an
 * eighth.
 */
const REFINE_PASSES = 2;

/**
 * GPTQ (arXiv 2210.17323) with static groups and activation order: scales by a search weighted with the Hessian's
 * diagonal, then column by column, largest inputs first, each column's error carried over to the columns that follow.
 * At last codes and scales are refined under the same Hessian. Needs the factor of `options.input`.
 *
 * For a sparse codec the same pass is SparseGPT's (arXiv 2301.00774): which weights stay is chosen group of 32 after
 * group, by w² over the square of the factor's diagonal, with what the groups before it have left behind counted in.
 * The scales are searched for those that would stay as the weights are.
 */
export const gptq: Quantizer = {
  needs: "factor",
  async quantize(maths, matrix, codec, options = {}) {
    checkFinite(matrix, options);
    const floats = floatNumbers(matrix, codec, options);
    if (floats) return floats;
    const { input, factor } = factorOf("gptq", matrix, options);
    const { kept } = codec;
    const ordered = kept ? await groupedFactor(maths, input) : { order: input.order, factor };
    const staying = keepLargest(matrix, codec, importanceBy(ordered));
    const numbers = await searchScales(maths, staying, codec, input.weights, options);
    const { gram, damping } = input;
    const shared = { ...numbers, ...levelsOf(codec) };
    await maths.gptq({ ...shared, w: matrix.data.slice(), u: ordered.factor, order: ordered.order, kept });
    const zerosStay = kept !== null;
    await maths.refine({ ...shared, w: matrix.data, gram, damping, passes: REFINE_PASSES, zerosStay });
    return numbers;
  },
};

/** How much a column's square counts: 1 / u_jj², by original column. */
function importanceBy({ order, factor }: OrderedFactor): Float64Array {
  const importance = new Float64Array(order.length);
  order.forEach((col, i) => {
    importance[col] = factor[i * (order.length + 1)] ** -2;
  });
  return importance;
}
