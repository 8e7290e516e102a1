import type { HessianErrorOptions } from "../maths.ts";

/**
 * Mean over rows of d gram d^T with d = w - values, both [rows, cols], gram [cols, cols]: the mean squared error that
 * quantized weights make in an output, over the inputs whose second moments the gram has. In doubles.
 */
export function hessianError({ w, values, gram, rows, cols }: HessianErrorOptions): number {
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
