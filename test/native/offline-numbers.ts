import { expect } from "vitest";
import { Random } from "../../src/tensor/random.ts";
import { normals } from "./engines.ts";

/** Sides around those of tiles, blocks and parts of the engine's offline maths. */
export const SIZES: readonly number[] = [1, 5, 6, 7, 8, 9, 23, 24, 25, 95, 96, 97, 130, 200];

/** |found - exact| within the bound a number, computed in double precision. */
export function expectClose(found: Float32Array, exact: (at: number) => { value: number; bound: number }): void {
  for (let at = 0; at < found.length; at++) {
    const { value, bound } = exact(at);
    if (!(Math.abs(found[at] - value) <= bound)) expect.fail(`[${at}] ${found[at]}: expected ${value} within ${bound}`);
  }
}

/** g g^T + n I: symmetric to the bit and positive definite. */
export function positiveDefinite(n: number, name: string): Float64Array {
  const g = normals(n * n, name);
  const a = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = i === j ? n : 0;
      for (let p = 0; p < n; p++) sum += g[i * n + p] * g[j * n + p];
      a[i * n + j] = sum;
      a[j * n + i] = sum;
    }
  }
  return a;
}

/** 0 … n - 1 shuffled. */
export function shuffled(n: number, name: string): Int32Array {
  const random = new Random(5).fork(name);
  const order = Int32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const other = random.nextInt(i + 1);
    [order[i], order[other]] = [order[other], order[i]];
  }
  return order;
}
