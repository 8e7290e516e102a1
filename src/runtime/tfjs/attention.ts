import * as tf from "@tensorflow/tfjs-core";
import type { AttentionSpec } from "../../model/decoder-spec.ts";
import { attentionRows } from "../../model/workspace.ts";
import { batchedMatMul } from "./batched-matmul.ts";
import type { PagedKvCache, WideningBuffers } from "./kv-cache.ts";

/** Score of a key that a row may not see: its weight underflows to zero, and no infinity enters the arithmetic. */
const MASKED = -1e30;

/** The part of a block's cache that a span of rows attends to. */
export interface CachedKeys {
  readonly cache: PagedKvCache;
  readonly block: number;
  /** Position of the first row. */
  readonly position: number;
  readonly buffers: WideningBuffers;
}

/** Keys and values of consecutive positions, oriented for the products. */
interface KeyValues {
  /** [kvHeads, headDim, positions] */
  readonly keys: tf.Tensor3D;
  /** [kvHeads, positions, headDim] */
  readonly values: tf.Tensor3D;
  /** Position of the first key. */
  readonly start: number;
}

/**
 * Attention among the rows of one whole sequence, q [rows, heads, headDim], k and v [rows, kvHeads, headDim]: [rows,
 * heads * headDim].
 */
export function attendWithin(q: tf.Tensor3D, k: tf.Tensor3D, v: tf.Tensor3D, spec: AttentionSpec): tf.Tensor2D {
  return attend(q, { keys: tf.transpose(k, [1, 2, 0]), values: tf.transpose(v, [1, 0, 2]), start: 0 }, 0, spec);
}

/**
 * Appends k and v to the cache and attends to all that it then holds, in its stored type, this pass' rows included.
 * Shapes as in `attendWithin`; not differentiable through k and v.
 */
export function attendCached(
  q: tf.Tensor3D,
  k: tf.Tensor3D,
  v: tf.Tensor3D,
  spec: AttentionSpec,
  { cache, block, position, buffers }: CachedKeys,
): tf.Tensor2D {
  cache.append(block, position, floatsOf(k), floatsOf(v));
  const { kvHeads, headDim } = spec;
  const { start, positions, keys, values } = cache.widen(block, buffers);
  cache.trim(block);
  const held: KeyValues = {
    keys: tf.tensor3d(keys, [kvHeads, headDim, positions]),
    values: tf.tensor3d(values, [kvHeads, positions, headDim]),
    start,
  };
  const mixed = attend(q, held, position, spec);
  // At once: these tensors lie over buffers that the next sequence writes again.
  held.keys.dispose();
  held.values.dispose();
  return mixed;
}

/** Rows in steps that keep the scores within ATTENTION_SCORE_BYTES. */
function attend(q: tf.Tensor3D, held: KeyValues, position: number, spec: AttentionSpec): tf.Tensor2D {
  const [rows, heads, headDim] = q.shape;
  const step = attentionRows(heads, held.keys.shape[2], rows);
  if (step === rows) return tf.tidy(() => attendRows(q, held, position, spec));
  const parts = Array.from({ length: Math.ceil(rows / step) }, (_, i) => {
    const count = Math.min(step, rows - i * step);
    return tf.tidy(() =>
      attendRows(tf.slice(q, [i * step, 0, 0], [count, heads, headDim]), held, position + i * step, spec),
    );
  });
  return tf.concat(parts, 0);
}

/**
 * softmax(scale q k^T + mask) v. Query head h reads key head floor(h / group): the queries of one key head are laid
 * together, [kvHeads, group * rows, headDim], and take one product.
 */
function attendRows(q: tf.Tensor3D, held: KeyValues, position: number, spec: AttentionSpec): tf.Tensor2D {
  const { heads, kvHeads, headDim, scale, window } = spec;
  const rows = q.shape[0];
  const positions = held.keys.shape[2];
  const perKeyHead = (heads / kvHeads) * rows;
  const scores = tf.tidy(() => {
    const grouped = tf.reshape<tf.Rank.R3>(swapFirstAxes(tf.mul(q, scale)), [kvHeads, perKeyHead, headDim]);
    const products = batchedMatMul(grouped, held.keys);
    const mask = visibilityMask(rows, positions, position - held.start, window);
    return mask ? tf.add(tf.reshape(products, [heads, rows, positions]), mask) : products;
  });
  const weights = tf.reshape<tf.Rank.R3>(tf.softmax(scores), [kvHeads, perKeyHead, positions]);
  scores.dispose();
  const mixed = tf.reshape<tf.Rank.R3>(batchedMatMul(weights, held.values), [heads, rows, headDim]);
  return tf.reshape<tf.Rank.R2>(swapFirstAxes(mixed), [rows, heads * headDim]);
}

/** [a, b, c] -> [b, a, c]; where a or b is 1 the numbers stay where they are, and the caller's reshape does it. */
function swapFirstAxes(x: tf.Tensor3D): tf.Tensor3D {
  return x.shape[0] === 1 || x.shape[1] === 1 ? x : tf.transpose(x, [1, 0, 2]);
}

/**
 * [rows, positions], 0 where row i, itself key number `first` + i, sees key j (j <= i, and j > i - window), else
 * MASKED; null where there is one row and it sees every key.
 */
function visibilityMask(rows: number, positions: number, first: number, window: number | null): tf.Tensor2D | null {
  const span = window ?? positions;
  if (rows === 1 && span >= positions) return null;
  const mask = new Float32Array(rows * positions).fill(MASKED);
  for (let row = 0; row < rows; row++) {
    const last = first + row;
    mask.fill(0, row * positions + Math.max(0, last - span + 1), row * positions + last + 1);
  }
  return tf.tensor2d(mask, [rows, positions]);
}

/** The numbers of a tensor; inside tidy the array goes to a variable, never out through tidy (which would walk it). */
function floatsOf(tensor: tf.Tensor): Float32Array {
  return tensor.dataSync<"float32">();
}
