import type { Codec, Quantized } from "../codecs/codec.ts";
import type { DenseMatrix } from "../model/weight-source.ts";
import type { NativeEngine } from "../native/addon.ts";
import type { QuantizeOptions } from "./quantizer.ts";
import { searchScales, searchScalesOn } from "./scale-search.ts";
import { checkFinite, floatNumbers, inputOf } from "./weight-checks.ts";

/**
 * Nearest levels under scales chosen by squared errors that count as much as the column's inputs are large: the diagonal of the
 * Hessian, as llama.cpp's importance matrix has it. Needs the weights of `options.input`.
 */
export function quantizeWeighted(matrix: DenseMatrix, codec: Codec, options: QuantizeOptions = {}): Quantized {
  checkFinite(matrix, options);
  return (
    floatNumbers(matrix, codec, options) ??
    searchScales(matrix, codec, inputOf("weighted", matrix, options).weights, options)
  );
}

/** quantizeWeighted on the addon's threads: the same numbers and the same errors. */
export async function quantizeWeightedOn(
  engine: NativeEngine,
  matrix: DenseMatrix,
  codec: Codec,
  options: QuantizeOptions = {},
): Promise<Quantized> {
  checkFinite(matrix, options);
  return (
    floatNumbers(matrix, codec, options) ??
    searchScalesOn(engine, matrix, codec, inputOf("weighted", matrix, options).weights, options)
  );
}
