import * as tf from "@tensorflow/tfjs-core";
import { type DecoderSpec, linearsOf } from "../../model/decoder-spec.ts";
import type { LowRankPart } from "../../model/low-rank.ts";
import { type BlockRole, idOf } from "../../model/matrix-id.ts";
import { TensorSet } from "./tensor-set.ts";

/** A low-rank addition to one matrix, as tensors: x [rows, in] -> factor * (x a) b [rows, out]. */
interface LowRankTensors {
  /** [in, rank] */
  readonly a: tf.Tensor2D;
  /** [rank, out] */
  readonly b: tf.Tensor2D;
  readonly factor: number;
}

/** Additions of one block. */
export type BlockAdapter = ReadonlyMap<BlockRole, LowRankTensors>;

/** Additions of a model, block by block. */
export interface LoadedAdapter {
  readonly blocks: ReadonlyMap<number, BlockAdapter>;
  readonly tensors: TensorSet;
}

/** The parts as tensors. */
export function loadAdapter(spec: DecoderSpec, parts: readonly LowRankPart[]): LoadedAdapter {
  const tensors = new TensorSet();
  const blocks = new Map<number, Map<BlockRole, LowRankTensors>>();
  for (const { block, role, rank, a, b, factor } of parts) {
    const linear = linearsOf(spec.blocks[block]).find((one) => one.role === role)?.linear;
    if (!linear) throw new Error(`adapter: ${idOf(block, role)}: the model has no such matrix`);
    const transposed = (data: Float32Array, rows: number, cols: number) =>
      tensors.add(tf.tidy((): tf.Tensor2D => tf.transpose(tf.tensor2d(data, [rows, cols]))));
    const found = blocks.get(block) ?? new Map<BlockRole, LowRankTensors>();
    blocks.set(block, found);
    found.set(role, { a: transposed(a, rank, linear.cols), b: transposed(b, linear.rows, rank), factor });
  }
  return { blocks, tensors };
}

/**
 * y with what an adapter adds to the matrices side by side in it; `parts` are their roles and rows, in order.
 * Differentiable in x and in the adapter's tensors.
 */
export function addLowRank(
  y: tf.Tensor2D,
  x: tf.Tensor2D,
  adapter: BlockAdapter | null | undefined,
  parts: readonly (readonly [role: BlockRole, rows: number])[],
): tf.Tensor2D {
  if (!adapter || !parts.some(([role]) => adapter.has(role))) return y;
  return tf.tidy(() => {
    const pieces = parts.map(([role, rows]): tf.Tensor2D => {
      const found = adapter.get(role);
      if (!found) return tf.zeros([x.shape[0], rows]);
      return tf.mul<tf.Tensor2D>(tf.matMul(tf.matMul(x, found.a), found.b), found.factor);
    });
    return tf.add<tf.Tensor2D>(y, pieces.length === 1 ? pieces[0] : tf.concat(pieces, 1));
  });
}
