import type { Codec, Quantized } from "../codecs/codec.ts";
import type { DenseMatrix } from "../model/weight-source.ts";
import type { NativeEngine } from "../native/addon.ts";
import { gptqUpdate } from "./gptq-update.ts";
import type { QuantizeOptions } from "./quantizer.ts";
import { refine } from "./refine.ts";
import { formOf, searchScales, searchScalesOn } from "./scale-search.ts";
import { checkFinite, factorOf, floatNumbers } from "./weight-checks.ts";

/** Passes of refinement over all columns: the second takes about a third as much off as the first, a third one an eighth. */
const REFINE_PASSES = 2;
/** Columns between updates of the rest of a row: enough for whole cache lines, few enough to stay in the cache. */
const BLOCK_COLS = 128;

/**
 * GPTQ (arXiv 2210.17323, papers.md) with static groups and activation order: scales by a search weighted with the Hessian's
 * diagonal, then column by column, largest inputs first, each column's error carried over to the columns that follow. At last
 * codes and scales are refined under the same Hessian (refine.ts). Needs the factor of `options.input`.
 */
export function quantizeGptq(matrix: DenseMatrix, codec: Codec, options: QuantizeOptions = {}): Quantized {
  checkFinite(matrix, options);
  const floats = floatNumbers(matrix, codec, options);
  if (floats) return floats;
  const { input, factor } = factorOf("gptq", matrix, options);
  const numbers = searchScales(matrix, codec, input.weights, options);
  const { rows, cols, data } = matrix;
  const shared = { ...numbers, rows, cols, form: formOf(codec), group: codec.group ?? 0 };
  gptqUpdate({ ...shared, w: data.slice(), u: factor, order: input.order });
  refine({ ...shared, w: data, gram: input.gram, damping: input.damping, passes: REFINE_PASSES });
  return numbers;
}

/** quantizeGptq on the addon's threads: the same numbers and the same errors. */
export async function quantizeGptqOn(
  engine: NativeEngine,
  matrix: DenseMatrix,
  codec: Codec,
  options: QuantizeOptions = {},
): Promise<Quantized> {
  checkFinite(matrix, options);
  const floats = floatNumbers(matrix, codec, options);
  if (floats) return floats;
  const { input, factor } = factorOf("gptq", matrix, options);
  const numbers = await searchScalesOn(engine, matrix, codec, input.weights, options);
  const { rows, cols, data } = matrix;
  const levels = codec.scheme === "table" ? codec.levels : null;
  const shared = { ...numbers, rows, cols, bits: codec.bits, levels, group: codec.group ?? 0 };
  const { order, gram, damping } = input;
  await engine.offline.gptq({ ...shared, w: data.slice(), u: factor, order, blockCols: BLOCK_COLS });
  await engine.offline.refine({ ...shared, w: data, gram, damping, passes: REFINE_PASSES });
  return numbers;
}
