import type { RopeTable } from "../../../model/rope.ts";

/**
 * Turns the first channels of every head in place, pairs (i, i + dims/2) as the executors do: x [rows, heads, headDim].
 * `back`: by the transposed turn, which is what passes back.
 */
export function rotate(
  x: Float32Array,
  { cos, sin }: RopeTable,
  shape: { readonly rows: number; readonly heads: number; readonly headDim: number },
  back: boolean,
): void {
  const { rows, heads, headDim } = shape;
  const pairs = cos.length / rows;
  const sign = back ? -1 : 1;
  for (let row = 0; row < rows; row++) {
    for (let head = 0; head < heads; head++) {
      const at = (row * heads + head) * headDim;
      for (let i = 0; i < pairs; i++) {
        const [c, s] = [cos[row * pairs + i], sign * sin[row * pairs + i]];
        const [first, second] = [x[at + i], x[at + pairs + i]];
        x[at + i] = first * c - second * s;
        x[at + pairs + i] = second * c + first * s;
      }
    }
  }
}
