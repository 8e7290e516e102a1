import * as tf from "@tensorflow/tfjs-core";
import type { BlockSpec, DecoderSpec, LinearSpec, NormSpec } from "../../model/decoder-spec.ts";
import type { BlockRole, NormPart } from "../../model/matrix-id.ts";
import type { BlockWeights, LinearWeights, NormWeights } from "../../runtime/tfjs/block-weights.ts";
import { type RunBuffers, runBlock } from "../../runtime/tfjs/decoder.ts";
import { createWideningBuffers } from "../../runtime/tfjs/kv-cache.ts";
import { distinctRopes, PassRopes } from "../../runtime/tfjs/rope-rows.ts";

/** Whole sequences side by side, and what the block is to make of them. */
export interface BlockBatch {
  /** Rows of each sequence. */
  readonly counts: readonly number[];
  /** [rows, hiddenSize] */
  readonly inputs: Float32Array;
  /** [rows, hiddenSize] */
  readonly targets: Float32Array;
}

/**
 * One weight of a block by the end of its id (`attn.q`, `mlp.norm.weight`): a matrix transposed, [cols, rows], or a
 * vector.
 */
export interface BlockWeight {
  readonly name: string;
  readonly shape: readonly [number, number] | readonly [number];
  readonly values: Float32Array;
}

/** Loss of a batch and its slope in each of the weights asked for, in their order. */
export interface LossGradients {
  readonly loss: number;
  readonly gradients: readonly Float32Array[];
}

/** Nothing in a block of dense tensors without a cache is expanded or widened. */
const NO_BUFFERS: RunBuffers = { expand: new Float32Array(0), widening: createWideningBuffers() };

/**
 * Mean over the rows of |output - target|^2 / |target|^2 of one block under the given weights, all of its own.
 * Relative, because the next norm takes the length away again, and a few rows (a sequence's first) would else outweigh
 * all others by their lengths.
 */
export function blockLoss(
  spec: DecoderSpec,
  block: number,
  batch: BlockBatch,
  weights: readonly BlockWeight[],
): number {
  return tf.tidy(() => {
    const tensors = weights.map(tensorOf);
    return lossOf(spec, block, batch, named(weights, tensors)).dataSync()[0];
  });
}

/** The same loss, and its gradients in the first `learned` weights. */
export function blockGradients(
  spec: DecoderSpec,
  block: number,
  batch: BlockBatch,
  weights: readonly BlockWeight[],
  learned: number,
): LossGradients {
  const { value, grads } = tf.tidy(() => {
    const tensors = weights.map(tensorOf);
    const fixed = tensors.slice(learned);
    return tf.valueAndGrads((...moving: tf.Tensor[]) =>
      lossOf(spec, block, batch, named(weights, [...moving, ...fixed])),
    )(tensors.slice(0, learned));
  });
  // Outside tidy, which would walk every element of an array that it returns.
  const [loss] = read(value);
  return { loss, gradients: grads.map(read) };
}

/** The numbers of a tensor, which is disposed of. */
function read(tensor: tf.Tensor): Float32Array {
  const values = tensor.dataSync<"float32">();
  tensor.dispose();
  return values;
}

function tensorOf({ shape, values }: BlockWeight): tf.Tensor {
  return tf.tensor(values, [...shape]);
}

function named(weights: readonly BlockWeight[], tensors: readonly tf.Tensor[]): ReadonlyMap<string, tf.Tensor> {
  return new Map(weights.map(({ name }, i) => [name, tensors[i]]));
}

function lossOf(
  spec: DecoderSpec,
  block: number,
  { counts, inputs, targets }: BlockBatch,
  tensors: ReadonlyMap<string, tf.Tensor>,
): tf.Scalar {
  const sequences = counts.map((count) => ({ cache: null, position: 0, count }));
  const ropes = new PassRopes(spec, distinctRopes(spec), sequences);
  const shape: [number, number] = [inputs.length / spec.hiddenSize, spec.hiddenSize];
  const wanted = tf.tensor2d(targets, shape);
  const output = runBlock(tf.tensor2d(inputs, shape), spec.blocks[block], weightsOf(spec.blocks[block], tensors), {
    ...{ block, sequences, rope: ropes.of(block), skipAttention: false, skipMlp: false, buffers: NO_BUFFERS },
  });
  const errors = tf.sum(tf.squaredDifference(output, wanted), 1);
  // A row of nothing but zeros counts as it is.
  const lengths = tf.maximum(tf.sum(tf.square(wanted), 1), Number.MIN_VALUE);
  return tf.mean(tf.div(errors, lengths));
}

/** The weights as the executor's blocks take them. */
function weightsOf(spec: BlockSpec, tensors: ReadonlyMap<string, tf.Tensor>): BlockWeights {
  const { attention, mlp } = spec;
  const linear = (linears: { readonly [role in BlockRole]?: LinearSpec }) => linearOf(linears, tensors);
  return {
    attentionNorms: {
      pre: normOf("attn.norm", spec.attentionNorms.pre, tensors),
      post: normOf("attn.postNorm", spec.attentionNorms.post, tensors),
    },
    attention: attention && {
      qkv: linear({ "attn.q": attention.q, "attn.k": attention.k, "attn.v": attention.v }),
      qNorm: normOf("attn.qNorm", attention.qNorm, tensors),
      kNorm: normOf("attn.kNorm", attention.kNorm, tensors),
      o: linear({ "attn.o": attention.o }),
    },
    mlpNorms: {
      pre: normOf("mlp.norm", spec.mlpNorms.pre, tensors),
      post: normOf("mlp.postNorm", spec.mlpNorms.post, tensors),
    },
    mlp: mlp && {
      input: linear(mlp.gate ? { "mlp.gate": mlp.gate, "mlp.up": mlp.up } : { "mlp.up": mlp.up }),
      down: linear({ "mlp.down": mlp.down }),
    },
  };
}

function linearOf(
  linears: { readonly [role in BlockRole]?: LinearSpec },
  tensors: ReadonlyMap<string, tf.Tensor>,
): LinearWeights {
  const entries = Object.entries(linears);
  const matrices = entries.map(([role, { rows, cols }]) =>
    tf.reshape<tf.Rank.R2>(tensorAt(tensors, role), [cols, rows]),
  );
  if (!entries.some(([, { bias }]) => bias)) return { matrices, bias: null };
  const parts = entries.map(([role, { bias, rows }]) =>
    bias ? vectorAt(tensors, `${role}.bias`) : tf.zeros<tf.Rank.R1>([rows]),
  );
  return { matrices, bias: tf.concat1d(parts) };
}

function normOf(name: NormPart, spec: NormSpec | null, tensors: ReadonlyMap<string, tf.Tensor>): NormWeights | null {
  if (!spec) return null;
  return {
    weight: vectorAt(tensors, `${name}.weight`),
    bias: spec.kind === "layer" ? vectorAt(tensors, `${name}.bias`) : null,
  };
}

function tensorAt(tensors: ReadonlyMap<string, tf.Tensor>, name: string): tf.Tensor {
  const found = tensors.get(name);
  if (!found) throw new Error(`rounding: the block has no weight ${name}`);
  return found;
}

function vectorAt(tensors: ReadonlyMap<string, tf.Tensor>, name: string): tf.Tensor1D {
  return tf.reshape<tf.Rank.R1>(tensorAt(tensors, name), [-1]);
}
