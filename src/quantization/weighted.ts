import { keepLargest } from "./keep-largest.ts";
import type { Quantizer } from "./quantizer.ts";
import { searchScales } from "./scale-search.ts";
import { checkFinite, floatNumbers, inputOf } from "./weight-checks.ts";

/**
 * Nearest levels under scales chosen by squared errors that count as much as the column's inputs are large: the
 * diagonal of the Hessian, as llama.cpp's importance matrix has it. Needs the weights of `options.input`.
 */
export const weighted: Quantizer = {
  needs: "weights",
  async quantize(maths, matrix, codec, options = {}) {
    checkFinite(matrix, options);
    const floats = floatNumbers(matrix, codec, options);
    if (floats) return floats;
    const { weights } = inputOf("weighted", matrix, options);
    return searchScales(maths, keepLargest(matrix, codec, weights), codec, weights, options);
  },
};
