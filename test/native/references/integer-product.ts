import type { Codec, Quantized } from "../../../src/codecs/codec.ts";
import { fma32 } from "./fma.ts";
import { CHUNK, type QuantizedRows } from "./quantize-rows.ts";

export type IntegerMatrix = Extract<Quantized, { kind: "integer" }>;

/** What one chunk of one weight row and one activation row comes to. */
interface ChunkTerm {
  /** Exact dot product of levels (symmetric, table) or codes (asymmetric) with the activations' levels. */
  readonly dot: number;
  readonly weightScale: number;
  readonly xScale: number;
  /** Asymmetric only: the group's minimum, and the sum of the activations' levels. */
  readonly minimum: number;
  readonly xSum: number;
}

/** Sums in f64, and what an f32 sum of the same terms may be off by. */
export interface Bounded {
  readonly values: Float64Array;
  readonly bounds: Float64Array;
}

/**
 * The integer product bit for bit, as kernel-table.h defines it: chunk after chunk, from 0,
 * acc = fma(dot, weightScale * xScale, acc); asymmetric then acc = fma(minimum, xScale * xSum, acc). [x rows, weight
 * rows]
 */
export function integerProduct(codec: Codec, w: IntegerMatrix, x: QuantizedRows, rows: number): Float32Array {
  return forEachOutput(w, rows, new Float32Array(rows * w.rows), (row, output) => {
    let sum = 0;
    for (const term of chunkTerms(codec, w, output, x, rows, row)) {
      sum = fma32(term.dot, Math.fround(term.weightScale * term.xScale), sum);
      if (w.minima) sum = fma32(term.minimum, Math.fround(term.xScale * term.xSum), sum);
    }
    return sum;
  });
}

/**
 * The same in f64, with the bound |y - reference| <= (k * chunks + 2) * 2^-24 * sum of |terms|: k = 1 term a chunk, 2
 * where there are minima. Each fma rounds a partial sum, which is at most the sum of |terms|, once; each term's scale
 * is rounded once; and 1 more for what is of second order. Holds where nothing underflows.
 */
export function integerProductBounded(codec: Codec, w: IntegerMatrix, x: QuantizedRows, rows: number): Bounded {
  const bounds = new Float64Array(rows * w.rows);
  const factor = ((w.minima ? 2 : 1) * Math.ceil(w.cols / CHUNK) + 2) * 2 ** -24;
  const values = forEachOutput(w, rows, new Float64Array(rows * w.rows), (row, output) => {
    let sum = 0;
    let magnitude = 0;
    for (const term of chunkTerms(codec, w, output, x, rows, row)) {
      const product = term.dot * term.weightScale * term.xScale;
      const constant = term.minimum * term.xScale * term.xSum;
      sum += product + constant;
      magnitude += Math.abs(product) + Math.abs(constant);
    }
    bounds[row * w.rows + output] = factor * magnitude;
    return sum;
  });
  return { values, bounds };
}

function forEachOutput<T extends Float32Array | Float64Array>(
  w: IntegerMatrix,
  rows: number,
  out: T,
  numberAt: (row: number, output: number) => number,
): T {
  for (let row = 0; row < rows; row++) {
    for (let output = 0; output < w.rows; output++) out[row * w.rows + output] = numberAt(row, output);
  }
  return out;
}

function* chunkTerms(
  codec: Codec,
  w: IntegerMatrix,
  output: number,
  x: QuantizedRows,
  rows: number,
  row: number,
): Generator<ChunkTerm> {
  const groups = codec.groupsPerRow(w.cols);
  const levelOf = (code: number) => (codec.levels ? codec.levels[code] : code);
  for (let chunk = 0; chunk * CHUNK < w.cols; chunk++) {
    const group = output * groups + (codec.group === null ? 0 : Math.floor((chunk * CHUNK) / codec.group));
    const slot = chunk * rows + row;
    let dot = 0;
    for (let i = 0; i < Math.min(CHUNK, w.cols - chunk * CHUNK); i++) {
      dot += levelOf(w.codes[output * w.cols + chunk * CHUNK + i]) * x.levels[slot * CHUNK + i];
    }
    const [weightScale, minimum] = [w.scales[group], w.minima ? w.minima[group] : 0];
    yield { dot, weightScale, minimum, xScale: x.scales[slot], xSum: x.sums[slot] };
  }
}
