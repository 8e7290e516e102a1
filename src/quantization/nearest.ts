import { keepLargest } from "./keep-largest.ts";
import type { Quantizer } from "./quantizer.ts";
import { searchScales } from "./scale-search.ts";
import { checkFinite, floatNumbers } from "./weight-checks.ts";

/**
 * Nearest levels under scales that an error-minimising search chose, group by group: never a larger squared error than
 * plain rounding under the group's largest magnitude. Float codecs take the weights as they are; sparse ones keep the
 * largest.
 */
export const nearest: Quantizer = {
  needs: "nothing",
  async quantize(maths, matrix, codec, options = {}) {
    checkFinite(matrix, options);
    const floats = floatNumbers(matrix, codec, options);
    if (floats) return floats;
    const alike = allAlike(matrix.cols);
    return searchScales(maths, keepLargest(matrix, codec, alike), codec, alike, options);
  },
};

const allAlike = (cols: number) => new Float32Array(cols).fill(1);
