import * as tf from "@tensorflow/tfjs-core";
import type { AttentionSpec, BlockSpec, MlpSpec, NormSpec } from "../../model/decoder-spec.ts";
import type { BlockRole } from "../../model/matrix-id.ts";
import type { BlockInputs } from "../input-capture.ts";
import { ACTIVATION_FUNCTIONS } from "./activations.ts";
import { addLowRank, type BlockAdapter } from "./adapter.ts";
import { attendCached, attendWithin } from "./attention.ts";
import type {
  AttentionWeights,
  BlockWeights,
  HalfNormWeights,
  LinearWeights,
  MlpWeights,
  NormWeights,
} from "./block-weights.ts";
import type { PagedKvCache, WideningBuffers } from "./kv-cache.ts";
import { packedMatMul } from "./packed-matmul.ts";

/**
 * Consecutive rows of one sequence; without a cache the rows are the whole sequence and everything is differentiable.
 */
export interface SequenceRows {
  readonly cache: PagedKvCache | null;
  /** Position of the first row. */
  readonly position: number;
  readonly count: number;
}

/** Cosines and sines of every row over all rotated channels, signs and factors included: [rows, 1, dims] each. */
export interface RopeRows {
  readonly cos: tf.Tensor3D;
  readonly sin: tf.Tensor3D;
}

/** What a block needs besides its input and its weights. */
export interface BlockRun {
  /** Number of the block: which pages of the caches it uses. */
  readonly block: number;
  readonly sequences: readonly SequenceRows[];
  readonly rope: RopeRows | null;
  readonly skipAttention: boolean;
  readonly skipMlp: boolean;
  /** Additions beside the block's products. */
  readonly adapter?: BlockAdapter | null;
  /** Takes the inputs of the block's products. */
  readonly capture?: BlockInputs | undefined;
  readonly buffers: RunBuffers;
}

/** Arrays that every block uses in turn. */
export interface RunBuffers {
  /** A tile of a packed matrix. */
  readonly expand: Float32Array;
  readonly widening: WideningBuffers;
}

/** One decoder layer: x [rows, hiddenSize] -> [rows, hiddenSize]. Appends keys and values to the sequences' caches. */
export function runBlock(x: tf.Tensor2D, spec: BlockSpec, weights: BlockWeights, run: BlockRun): tf.Tensor2D {
  return tf.tidy(() => {
    const { attentionNorms, mlpNorms, residualFactor } = spec;
    const normed = normalize(x, attentionNorms.pre, weights.attentionNorms.pre);
    /** x with what a half gives: normed again and scaled, where the block does so. */
    const added = (to: tf.Tensor2D, given: tf.Tensor2D, norm: NormSpec | null, of: HalfNormWeights) => {
      const post = normalize(given, norm, of.post);
      return tf.add<tf.Tensor2D>(to, residualFactor === 1 ? post : tf.mul(post, residualFactor));
    };
    const attended =
      spec.attention && weights.attention && !run.skipAttention
        ? added(
            x,
            attention(normed, spec.attention, weights.attention, run),
            attentionNorms.post,
            weights.attentionNorms,
          )
        : x;
    if (!spec.mlp || !weights.mlp || run.skipMlp) return attended;
    const from = spec.residual === "sequential" ? attended : x;
    const shared = spec.residual === "parallel" && !mlpNorms.pre;
    const input = shared ? normed : normalize(from, mlpNorms.pre, weights.mlpNorms.pre);
    return added(attended, mlp(input, spec.mlp, weights.mlp, run), mlpNorms.post, weights.mlpNorms);
  });
}

/** RMS norm x / rms(x) * w, or layer norm (x - mean) / deviation * w + b, over the last axis. */
export function normalize<T extends tf.Tensor>(x: T, spec: NormSpec | null, weights: NormWeights | null): T {
  if (!spec || !weights) return x;
  return tf.tidy(() => {
    const centred = spec.kind === "layer" ? tf.sub<T>(x, rowMean(x, spec.size)) : x;
    const meanSquare = rowMean(tf.mul(centred, centred), spec.size);
    const scaled = tf.mul<T>(tf.mul(centred, tf.rsqrt(tf.add(meanSquare, spec.eps))), weights.weight);
    return weights.bias ? tf.add<T>(scaled, weights.bias) : scaled;
  });
}

/** Mean over the last axis; tf.mean would copy its input first (a cast to the type that it has). */
function rowMean(x: tf.Tensor, size: number): tf.Tensor {
  return tf.mul(tf.sum(x, -1, true), 1 / size);
}

/** x [rows, in] times every matrix, side by side, plus bias: [rows, sum of outputs]. */
function linear(x: tf.Tensor2D, weights: LinearWeights, buffers: RunBuffers): tf.Tensor2D {
  return tf.tidy(() => {
    const products = weights.matrices.map(
      (matrix): tf.Tensor2D => ("kind" in matrix ? packedMatMul(x, matrix, buffers.expand) : tf.matMul(x, matrix)),
    );
    const y: tf.Tensor2D = products.length === 1 ? products[0] : tf.concat(products, 1);
    return weights.bias ? tf.add<tf.Tensor2D>(y, weights.bias) : y;
  });
}

/** Causal self-attention of normed rows, output projection included: [rows, hiddenSize]. */
function attention(x: tf.Tensor2D, spec: AttentionSpec, weights: AttentionWeights, run: BlockRun): tf.Tensor2D {
  return tf.tidy(() => {
    const { heads, kvHeads, headDim } = spec;
    run.capture?.append("attention", x.dataSync<"float32">());
    const [rotated, values] = projectHeads(x, spec, weights, run);
    let first = 0;
    const outputs = run.sequences.map(({ cache, position, count }) => {
      const q = tf.slice(rotated, [first, 0, 0], [count, heads, headDim]);
      const k = tf.slice(rotated, [first, heads, 0], [count, kvHeads, headDim]);
      const v = run.sequences.length === 1 ? values : tf.slice(values, [first, 0, 0], [count, kvHeads, headDim]);
      first += count;
      if (!cache) return attendWithin(q, k, v, spec);
      return attendCached(q, k, v, spec, { cache, block: run.block, position, buffers: run.buffers.widening });
    });
    const mixed = outputs.length === 1 ? outputs[0] : tf.concat(outputs, 0);
    run.capture?.append("output", mixed.dataSync<"float32">());
    return addLowRank(linear(mixed, weights.o, run.buffers), mixed, run.adapter, [["attn.o", spec.o.rows]]);
  });
}

/**
 * Queries and keys, normed and rotated, side by side: [rows, heads + kvHeads, headDim]; and values: [rows, kvHeads,
 * headDim].
 */
function projectHeads(
  x: tf.Tensor2D,
  spec: AttentionSpec,
  weights: AttentionWeights,
  run: BlockRun,
): [tf.Tensor3D, tf.Tensor3D] {
  return tf.tidy(() => {
    const { heads, kvHeads, headDim } = spec;
    const rows = x.shape[0];
    const products = addLowRank(linear(x, weights.qkv, run.buffers), x, run.adapter, [
      ["attn.q", spec.q.rows],
      ["attn.k", spec.k.rows],
      ["attn.v", spec.v.rows],
    ]);
    const qkv = tf.reshape<tf.Rank.R3>(products, [rows, heads + 2 * kvHeads, headDim]);
    const rotated = tf.tidy(() => {
      const normed = normedHeads(qkv, spec, weights);
      return run.rope ? rotate(normed, run.rope) : normed;
    });
    return [rotated, tf.slice(qkv, [0, heads + kvHeads, 0], [rows, kvHeads, headDim])];
  });
}

/** Queries and keys out of [queries | keys | values], each under its norm: [rows, heads + kvHeads, headDim]. */
function normedHeads(qkv: tf.Tensor3D, spec: AttentionSpec, weights: AttentionWeights): tf.Tensor3D {
  const { heads, kvHeads, headDim, qNorm, kNorm } = spec;
  const rows = qkv.shape[0];
  if (!qNorm && !kNorm) return tf.slice(qkv, [0, 0, 0], [rows, heads + kvHeads, headDim]);
  const normed = (from: number, count: number, norm: NormSpec | null, of: NormWeights | null): tf.Tensor3D => {
    const part = tf.slice(qkv, [0, from, 0], [rows, count, headDim]);
    if (!norm) return part;
    // As many channels at a time as the norm has: one head's, or all.
    const cut = tf.reshape<tf.Rank.R3>(part, [rows, (count * headDim) / norm.size, norm.size]);
    return tf.reshape(normalize(cut, norm, of), [rows, count, headDim]);
  };
  return tf.concat([normed(0, heads, qNorm, weights.qNorm), normed(heads, kvHeads, kNorm, weights.kNorm)], 1);
}

/**
 * Rotary embedding of the first `dims` channels, half-split pairs (i, i + dims/2); the other channels pass. x [rows,
 * heads, headDim].
 */
export function rotate(x: tf.Tensor3D, rope: RopeRows): tf.Tensor3D {
  return tf.tidy(() => {
    const [rows, heads, headDim] = x.shape;
    const dims = rope.cos.shape[2];
    const channels = (from: number, count: number) => tf.slice(x, [0, 0, from], [rows, heads, count]);
    const swapped = tf.tidy(() => tf.concat([channels(dims / 2, dims / 2), channels(0, dims / 2)], 2));
    const turned = tf.mul(dims === headDim ? x : channels(0, dims), rope.cos);
    const rotated = tf.add<tf.Tensor3D>(turned, tf.mul(swapped, rope.sin));
    return dims === headDim ? rotated : tf.concat([rotated, channels(dims, headDim - dims)], 2);
  });
}

/** down(act(gate x) * up x), or down(act(up x)). */
function mlp(x: tf.Tensor2D, spec: MlpSpec, weights: MlpWeights, run: BlockRun): tf.Tensor2D {
  return tf.tidy(() => {
    run.capture?.append("mlp", x.dataSync<"float32">());
    const inner = activated(x, spec, weights, run);
    run.capture?.append("down", inner.dataSync<"float32">());
    return addLowRank(linear(inner, weights.down, run.buffers), inner, run.adapter, [["mlp.down", spec.down.rows]]);
  });
}

/** act(gate x) * up x, or act(up x). */
function activated(x: tf.Tensor2D, spec: MlpSpec, weights: MlpWeights, run: BlockRun): tf.Tensor2D {
  return tf.tidy(() => {
    const activate = ACTIVATION_FUNCTIONS[spec.activation];
    const product = (parts: readonly (readonly [BlockRole, number])[]) =>
      addLowRank(linear(x, weights.input, run.buffers), x, run.adapter, parts);
    const upRows = spec.up.rows;
    if (!spec.gate) return activate(product([["mlp.up", upRows]]));
    const gateRows = spec.gate.rows;
    const [gate, up] = tf.tidy((): [tf.Tensor2D, tf.Tensor2D] => {
      const both = product([
        ["mlp.gate", gateRows],
        ["mlp.up", upRows],
      ]);
      return [tf.slice(both, [0, 0], [-1, gateRows]), tf.slice(both, [0, gateRows], [-1, upRows])];
    });
    return tf.mul<tf.Tensor2D>(activate(gate), up);
  });
}
