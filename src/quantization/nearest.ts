import type { Quantizer } from "./quantizer.ts";
import { searchScales } from "./scale-search.ts";
import { checkFinite, floatNumbers } from "./weight-checks.ts";

/**
 * Nearest levels under scales that an error-minimising search chose, group by group: never a larger squared error than
 * plain rounding under the group's largest magnitude. Float codecs take the weights as they are.
 */
export const nearest: Quantizer = {
  needs: "nothing",
  async quantize(maths, matrix, codec, options = {}) {
    checkFinite(matrix, options);
    return floatNumbers(matrix, codec, options) ?? searchScales(maths, matrix, codec, allAlike(matrix.cols), options);
  },
};

const allAlike = (cols: number) => new Float32Array(cols).fill(1);
