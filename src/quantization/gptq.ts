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
 */
export const gptq: Quantizer = {
  needs: "factor",
  async quantize(maths, matrix, codec, options = {}) {
    checkFinite(matrix, options);
    const floats = floatNumbers(matrix, codec, options);
    if (floats) return floats;
    const { input, factor } = factorOf("gptq", matrix, options);
    const numbers = await searchScales(maths, matrix, codec, input.weights, options);
    const { order, gram, damping } = input;
    const shared = { ...numbers, ...levelsOf(codec) };
    await maths.gptq({ ...shared, w: matrix.data.slice(), u: factor, order });
    await maths.refine({ ...shared, w: matrix.data, gram, damping, passes: REFINE_PASSES });
    return numbers;
  },
};
