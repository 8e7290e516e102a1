import type { Codec, Quantized } from "../codecs/codec.ts";
import type { DenseMatrix } from "../model/weight-source.ts";
import { fitAsymmetric } from "./asymmetric-search.ts";
import { inverseOf, nearestLevel } from "./nearest-level.ts";
import type { QuantizeOptions } from "./quantizer.ts";
import { fitSymmetric } from "./symmetric-search.ts";
import { checkFinite, checkFloatRange, outOfRange } from "./weight-checks.ts";

/**
 * Nearest levels under scales that an error-minimising search chose, group by group: never a larger squared error than plain
 * rounding under the group's largest magnitude. Float codecs take the weights as they are.
 */
export function quantizeNearest(matrix: DenseMatrix, codec: Codec, options: QuantizeOptions = {}): Quantized {
  checkFinite(matrix, options);
  const { rows, cols, data } = matrix;
  if (codec.scheme === "float") {
    checkFloatRange(matrix, codec, options);
    return { kind: "float", rows, cols, values: data };
  }
  const groups = codec.groupsPerRow(cols);
  const scales = new Float32Array(rows * groups);
  const minima = codec.scheme === "asymmetric" ? new Float32Array(rows * groups) : null;
  const codes = new Uint8Array(rows * cols);
  const groupCols = codec.group ?? cols;
  for (let row = 0; row < rows; row++) {
    for (let group = 0; group < groups; group++) {
      const from = row * cols + group * groupCols;
      const to = Math.min(from + groupCols, (row + 1) * cols);
      const at = row * groups + group;
      const fits = minima
        ? asymmetricGroup(data, from, to, codec.bits, codes, scales, minima, at)
        : symmetricGroup(data, from, to, codec.bits, codes, scales, at);
      if (!fits) throw outOfRange(row, codec, options);
    }
  }
  return { kind: "integer", rows, cols, codes, scales, minima };
}

function symmetricGroup(
  x: Float32Array,
  from: number,
  to: number,
  bits: number,
  codes: Uint8Array,
  scales: Float32Array,
  at: number,
): boolean {
  const fit = fitSymmetric(x, from, to, bits);
  if (!fit) return false;
  const half = 2 ** (bits - 1);
  const inverse = inverseOf(fit.scale);
  for (let i = from; i < to; i++) codes[i] = nearestLevel(x[i] * inverse, -half, half - 1) + half;
  scales[at] = fit.scale;
  return true;
}

function asymmetricGroup(
  x: Float32Array,
  from: number,
  to: number,
  bits: number,
  codes: Uint8Array,
  scales: Float32Array,
  minima: Float32Array,
  at: number,
): boolean {
  const fit = fitAsymmetric(x, from, to, bits);
  if (!fit) return false;
  const top = 2 ** bits - 1;
  const inverse = inverseOf(fit.scale);
  for (let i = from; i < to; i++) codes[i] = nearestLevel((x[i] - fit.minimum) * inverse, 0, top);
  scales[at] = fit.scale;
  minima[at] = fit.minimum;
  return true;
}
