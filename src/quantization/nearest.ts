import type { Codec, Quantized } from "../codecs/codec.ts";
import type { DenseMatrix } from "../model/weight-source.ts";
import type { NativeEngine } from "../native/addon.ts";
import type { QuantizeOptions } from "./quantizer.ts";
import { searchScales, searchScalesOn } from "./scale-search.ts";
import { checkFinite, floatNumbers } from "./weight-checks.ts";

/**
 * Nearest levels under scales that an error-minimising search chose, group by group: never a larger squared error than plain
 * rounding under the group's largest magnitude. Float codecs take the weights as they are.
 */
export function quantizeNearest(matrix: DenseMatrix, codec: Codec, options: QuantizeOptions = {}): Quantized {
  checkFinite(matrix, options);
  return floatNumbers(matrix, codec, options) ?? searchScales(matrix, codec, allAlike(matrix.cols), options);
}

/** quantizeNearest on the addon's threads: the same numbers and the same errors. */
export async function quantizeNearestOn(
  engine: NativeEngine,
  matrix: DenseMatrix,
  codec: Codec,
  options: QuantizeOptions = {},
): Promise<Quantized> {
  checkFinite(matrix, options);
  return floatNumbers(matrix, codec, options) ?? searchScalesOn(engine, matrix, codec, allAlike(matrix.cols), options);
}

const allAlike = (cols: number) => new Float32Array(cols).fill(1);
