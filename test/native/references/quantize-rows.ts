import { roundHalfEven } from "./fma.ts";

/** Columns of a chunk. */
export const CHUNK = 32;

/** Rows as 8-bit levels, chunk by chunk: x[r][32 c + i] ~ scales[c * rows + r] * levels[(c * rows + r) * 32 + i]. */
export interface QuantizedRows {
  readonly levels: Int8Array;
  readonly scales: Float32Array;
  readonly sums: Int32Array;
}

/**
 * Activations as the integer products take them, bit for bit. With m = max|x| of a chunk: scale = m / 127 and inverse =
 * 1 / scale, each rounded to f32; level = x * inverse rounded to f32, then to the nearest whole number, halves to even,
 * then to -127 … 127. Scale and levels are 0 where m < 127 * 2^-126: the inverse could overflow.
 */
export function quantizeRows(x: Float32Array, rows: number, cols: number): QuantizedRows {
  const chunks = Math.ceil(cols / CHUNK);
  const levels = new Int8Array(chunks * rows * CHUNK);
  const scales = new Float32Array(chunks * rows);
  const sums = new Int32Array(chunks * rows);
  for (let c = 0; c < chunks; c++) {
    for (let r = 0; r < rows; r++) {
      const slot = c * rows + r;
      const values = x.subarray(r * cols + c * CHUNK, r * cols + Math.min(cols, (c + 1) * CHUNK));
      scales[slot] = quantizeChunk(values, levels.subarray(slot * CHUNK, (slot + 1) * CHUNK));
      sums[slot] = levels.subarray(slot * CHUNK, (slot + 1) * CHUNK).reduce((sum, level) => sum + level, 0);
    }
  }
  return { levels, scales, sums };
}

function quantizeChunk(values: Float32Array, levels: Int8Array): number {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (largest < 127 * 2 ** -126) return 0;
  const scale = Math.fround(largest / 127);
  const inverse = Math.fround(1 / scale);
  values.forEach((value, i) => {
    levels[i] = Math.max(-127, Math.min(127, roundHalfEven(Math.fround(value * inverse))));
  });
  return scale;
}
