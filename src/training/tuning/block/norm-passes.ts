import type { FrozenNorm } from "./frozen-block.ts";

/** The norm of x, as many numbers at a time as it has, written to y; y may be x. */
export function normForward({ spec, weight, bias }: FrozenNorm, x: Float32Array, y: Float32Array): void {
  const { size, eps, kind } = spec;
  for (let at = 0; at < x.length; at += size) {
    const mean = kind === "layer" ? meanOf(x, at, size) : 0;
    const factor = inverseDeviation(x, at, size, mean, eps);
    for (let i = 0; i < size; i++) y[at + i] = (x[at + i] - mean) * factor * weight[i] + (bias ? bias[i] : 0);
  }
}

/**
 * Adds to dx what passes back through the norm of x. With n = (x - mean) f and g = dy w: f (g - n mean(g n)), less its
 * own mean for a layer norm.
 */
export function normBackward(
  { spec, weight }: FrozenNorm,
  { x, dy, dx }: { readonly x: Float32Array; readonly dy: Float32Array; readonly dx: Float32Array },
): void {
  const { size, eps, kind } = spec;
  for (let at = 0; at < x.length; at += size) {
    const mean = kind === "layer" ? meanOf(x, at, size) : 0;
    const factor = inverseDeviation(x, at, size, mean, eps);
    let [along, sum] = [0, 0];
    for (let i = 0; i < size; i++) {
      const slope = dy[at + i] * weight[i];
      sum += slope;
      along += slope * (x[at + i] - mean) * factor;
    }
    const shift = kind === "layer" ? sum / size : 0;
    const share = along / size;
    for (let i = 0; i < size; i++) {
      dx[at + i] += factor * (dy[at + i] * weight[i] - shift - (x[at + i] - mean) * factor * share);
    }
  }
}

function meanOf(x: Float32Array, at: number, size: number): number {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += x[at + i];
  return sum / size;
}

function inverseDeviation(x: Float32Array, at: number, size: number, mean: number, eps: number): number {
  let squares = 0;
  for (let i = 0; i < size; i++) squares += (x[at + i] - mean) ** 2;
  return 1 / Math.sqrt(squares / size + eps);
}
