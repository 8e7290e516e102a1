import type { Maths } from "../../../maths/maths.ts";
import type { FrozenLinear } from "./frozen-block.ts";
import type { LowRank } from "./low-rank.ts";
import type { RowBuffers } from "./row-buffers.ts";

/** What the passes of a block share. */
export interface PassTools {
  readonly maths: Maths;
  readonly buffers: RowBuffers;
  /** Rows of the sequence. */
  readonly rows: number;
}

/** y = W x + bias + factor B (A x) of x [rows, cols]: [rows, outputs], taken from the buffers. */
export async function linearForward(
  { maths, buffers, rows }: PassTools,
  { operand, bias }: FrozenLinear,
  addition: LowRank | undefined,
  x: Float32Array,
): Promise<Float32Array> {
  const y = buffers.take(rows, operand.rows);
  await maths.multiplyPacked(operand, x, y);
  if (addition) {
    const { a, b, rank } = addition.part;
    const inner = buffers.take(rows, rank);
    await maths.multiply({ a: x, b: a, c: inner, rows, cols: rank, depth: operand.cols, transposedB: true });
    scale(inner, addition.part.factor);
    await maths.multiply({
      ...{ a: inner, b, c: y, rows, cols: operand.rows, depth: rank },
      ...{ transposedB: true, accumulate: true },
    });
    buffers.release(inner);
  }
  if (bias) addToRows(y, bias);
  return y;
}

/** What passes back through a matrix. */
export interface LinearSlopes {
  readonly x: Float32Array;
  readonly dy: Float32Array;
  /** [rows, cols]: the slope of x is added to it; null: it is not wanted. */
  readonly dx: Float32Array | null;
  /** dx holds nothing yet, and is written over. */
  readonly fresh?: boolean;
}

/** What passes back through {@link linearForward}; the slopes of a learned addition are added to its own. */
export async function linearBackward(
  tools: PassTools,
  { operand }: FrozenLinear,
  addition: LowRank | undefined,
  { x, dy, dx, fresh = false }: LinearSlopes,
): Promise<void> {
  const { maths, buffers, rows } = tools;
  if (dx && fresh) await maths.multiplyPackedTransposed(operand, dy, dx);
  else if (dx) {
    const through = buffers.take(rows, operand.cols);
    await maths.multiplyPackedTransposed(operand, dy, through);
    addTo(dx, through);
    buffers.release(through);
  }
  if (addition) await additionBackward(tools, addition, { x, dy, dx });
}

/** With u = A x: dB += factor dy^T u, du = factor dy B, dA += du^T x, dx += du A. */
async function additionBackward(
  { maths, buffers, rows }: PassTools,
  { part: { a, b, rank, factor }, slopes }: LowRank,
  { x, dy, dx }: LinearSlopes,
): Promise<void> {
  const [cols, outputs] = [a.length / rank, b.length / rank];
  const inner = buffers.take(rows, rank);
  if (slopes) {
    await maths.multiply({ a: x, b: a, c: inner, rows, cols: rank, depth: cols, transposedB: true });
    scale(inner, factor);
    await maths.multiply({
      ...{ a: dy, b: inner, c: slopes.b, rows: outputs, cols: rank, depth: rows },
      ...{ transposedA: true, accumulate: true },
    });
  }
  await maths.multiply({ a: dy, b, c: inner, rows, cols: rank, depth: outputs });
  scale(inner, factor);
  if (slopes) {
    await maths.multiply({
      ...{ a: inner, b: x, c: slopes.a, rows: rank, cols, depth: rows },
      ...{ transposedA: true, accumulate: true },
    });
  }
  if (dx) await maths.multiply({ a: inner, b: a, c: dx, rows, cols, depth: rank, accumulate: true });
  buffers.release(inner);
}

/** x += y */
export function addTo(x: Float32Array, y: Float32Array): void {
  for (let i = 0; i < x.length; i++) x[i] += y[i];
}

/** x *= factor */
export function scale(x: Float32Array, factor: number): void {
  if (factor !== 1) for (let i = 0; i < x.length; i++) x[i] *= factor;
}

function addToRows(y: Float32Array, bias: Float32Array): void {
  for (let at = 0; at < y.length; at += bias.length) for (let i = 0; i < bias.length; i++) y[at + i] += bias[i];
}
