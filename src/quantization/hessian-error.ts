import type { NativeEngine } from "../native/addon.ts";

/**
 * Mean over rows of d gram d^T with d = w - values, both [rows, cols], gram [cols, cols]: the mean squared error that quantized
 * weights make in an output, over the inputs whose second moments the gram has. In doubles.
 */
export function hessianError(
  w: Float32Array,
  values: Float32Array,
  gram: Float32Array,
  rows: number,
  cols: number,
): number {
  const difference = new Float64Array(cols);
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < cols; i++) difference[i] = w[row * cols + i] - values[row * cols + i];
    for (let i = 0; i < cols; i++) {
      let product = 0;
      for (let j = 0; j < cols; j++) product += difference[j] * gram[i * cols + j];
      sum += difference[i] * product;
    }
  }
  return sum / rows;
}

/** hessianError on the engine where there is one: products in f32 there, equal to some 5 digits. */
export async function hessianErrorOn(
  engine: NativeEngine | null,
  ...[w, values, gram, rows, cols]: Parameters<typeof hessianError>
): Promise<number> {
  return engine
    ? engine.offline.hessianError({ w, values, gram, rows, cols })
    : hessianError(w, values, gram, rows, cols);
}
