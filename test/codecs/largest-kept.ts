import type { Kept } from "../../src/codecs/codec.ts";

/** Magnitude pruning of [rows, cols]: 0 for all but the largest of each run, of equals the first. Slow and plain. */
export function largestKept(data: Float32Array, cols: number, { count, of }: Kept): Float32Array {
  return data.map((x, i) => {
    const from = i - ((i % cols) % of);
    const run = data.subarray(from, Math.min(from + of, (Math.floor(i / cols) + 1) * cols));
    const before = run.filter((y, j) => Math.abs(y) > Math.abs(x) || (Math.abs(y) === Math.abs(x) && from + j < i));
    return before.length < count ? x : 0;
  });
}
