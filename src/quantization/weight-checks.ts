import type { Codec, Quantized } from "../codecs/codec.ts";
import { UserError } from "../errors.ts";
import type { DenseMatrix } from "../model/weight-source.ts";
import { allFinite } from "../tensor/finite.ts";
import type { QuantizeOptions } from "./quantizer.ts";
import type { QuantizerInput } from "./quantizer-input.ts";

/** The largest finite numbers of the float codecs; larger weights would become these, or infinite. */
const FLOAT_LIMITS: Readonly<Record<string, number>> = {
  f16: 65504,
  bf16: 3.3895313892515355e38,
  f32: 3.4028234663852886e38,
};

/** Throws UserError WEIGHTS_NOT_FINITE naming the first weight that is not finite. */
export function checkFinite({ data, rows, cols }: DenseMatrix, options: QuantizeOptions): void {
  const { label = "matrix", firstRow = 0 } = options;
  if (allFinite(data)) return;
  const at = data.findIndex((x) => !Number.isFinite(x));
  const count = data.reduce((n, x) => (Number.isFinite(x) ? n : n + 1), 0);
  throw new UserError(
    "WEIGHTS_NOT_FINITE",
    `${label}: weights: expected finite numbers, found ${data[at]} at row ${firstRow + Math.floor(at / cols)}, column ${at % cols} (${count} in ${rows} rows)`,
    "the checkpoint is damaged or its training diverged",
  );
}

/** Throws UserError WEIGHTS_RANGE where a float codec would make a weight infinite. */
function checkFloatRange({ data, cols }: DenseMatrix, codec: Codec, options: QuantizeOptions): void {
  const { label = "matrix", firstRow = 0 } = options;
  const limit = FLOAT_LIMITS[codec.id];
  const at = data.findIndex((x) => Math.abs(x) > limit);
  if (at < 0) return;
  throw new UserError(
    "WEIGHTS_RANGE",
    `${label}: row ${firstRow + Math.floor(at / cols)}: expected magnitudes up to ${limit} for ${codec.id}, found ${data[at]}`,
    "choose bf16 or f32 for this matrix",
  );
}

/** What a float codec stores: the weights as they are, checked; null for other codecs. */
export function floatNumbers(matrix: DenseMatrix, codec: Codec, options: QuantizeOptions): Quantized | null {
  if (codec.scheme !== "float") return null;
  checkFloatRange(matrix, codec, options);
  return { kind: "float", rows: matrix.rows, cols: matrix.cols, values: matrix.data };
}

/** The inputs' statistics that a quantizer needs. Throws UserError QUANTIZER_STATISTICS where there are none. */
export function inputOf(quantizer: string, matrix: DenseMatrix, options: QuantizeOptions): QuantizerInput {
  const { input, label = "matrix" } = options;
  if (!input) {
    throw new UserError(
      "QUANTIZER_STATISTICS",
      `${label}: quantizer ${quantizer}: expected statistics of the matrix's inputs, found none`,
      "collect them on calibration text first, or choose the quantizer nearest",
    );
  }
  if (input.cols !== matrix.cols) throw new RangeError(`${label}: inputs of ${input.cols} columns for ${matrix.cols}`);
  return input;
}

/** The same with the factor of the inputs' second moments. */
export function factorOf(quantizer: string, matrix: DenseMatrix, options: QuantizeOptions) {
  const input = inputOf(quantizer, matrix, options);
  if (!input.factor) throw new Error(`${options.label ?? "matrix"}: inputs were prepared without their factor`);
  return { input, factor: input.factor };
}

/** What is thrown for a row whose weights no f16 scale reaches. */
export function outOfRange(row: number, codec: Codec, { label = "matrix", firstRow = 0 }: QuantizeOptions): UserError {
  return new UserError(
    "WEIGHTS_RANGE",
    `${label}: row ${firstRow + row}: expected weights that an f16 scale of ${codec.id} reaches, found larger ones`,
    "choose bf16 or f32 for this matrix",
  );
}
