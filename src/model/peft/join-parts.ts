import { type LowRankPart, sameNumbers } from "../low-rank.ts";
import type { Module } from "./modules.ts";

/** An addition to a module's tensor. */
export interface ModuleFactors {
  readonly rank: number;
  readonly factor: number;
  /** [rank, cols] */
  readonly a: Float32Array;
  /** [rows of the tensor, rank] */
  readonly b: Float32Array;
}

/**
 * One addition to a module's tensor from those to its matrices: that of its only matrix itself; of a fused tensor with
 * a common A the rows of each B in their places, else the A one under the other, each with the rows of its own B only.
 */
export function joinParts(module: Module, parts: readonly LowRankPart[]): ModuleFactors {
  const [first] = parts;
  if (module.matrices.length === 1) return first;
  if (parts.some(({ factor }) => factor !== first.factor)) {
    throw new Error(`${module.path}: expected additions with one factor, found several`);
  }
  const common = parts.every(({ rank, a }) => rank === first.rank && sameNumbers(a, first.a));
  const rank = common ? first.rank : parts.reduce((sum, part) => sum + part.rank, 0);
  const a = new Float32Array(rank * module.cols);
  const b = new Float32Array(module.rows * rank);
  let from = 0;
  for (const part of parts) {
    a.set(part.a, from * module.cols);
    placeRows(b, rank, from, part, rangesOf(module, part));
    if (!common) from += part.rank;
  }
  return { rank, factor: first.factor, a, b };
}

/** Puts a part's B into the rows of its matrix, from column `from` on. */
function placeRows(b: Float32Array, rank: number, from: number, part: LowRankPart, rows: Iterable<number>): void {
  let own = 0;
  for (const row of rows) {
    b.set(part.b.subarray(own * part.rank, (own + 1) * part.rank), row * rank + from);
    own++;
  }
}

/** Rows of the tensor that are a part's matrix, in its order. */
function* rangesOf({ matrices, rows }: Module, { role }: LowRankPart): Generator<number> {
  const ranges = matrices.find((one) => one.role === role)?.ranges ?? [[0, rows]];
  for (const [from, to] of ranges) for (let row = from; row < to; row++) yield row;
}
