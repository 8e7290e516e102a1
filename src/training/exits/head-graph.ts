import * as tf from "@tensorflow/tfjs-core";
import type { NormSpec } from "../../model/decoder-spec.ts";
import { ACTIVATION_FUNCTIONS } from "../../runtime/tfjs/activations.ts";
import { normalize } from "../../runtime/tfjs/decoder.ts";
import { TensorSet } from "../../runtime/tfjs/tensor-set.ts";
import type { HeadParameters, HeadStart } from "./head-parameters.ts";

/** What all exit heads and the teacher share, as tensors that stay: nothing of it is learned. */
export interface SharedHead {
  readonly spec: NormSpec;
  readonly norm: { readonly weight: tf.Tensor1D; readonly bias: tf.Tensor1D | null };
  /** [hiddenSize, ids] */
  readonly matrix: tf.Tensor2D;
  readonly bias: tf.Tensor1D | null;
  /** Whether one more logit stands for all other ids. */
  readonly tail: boolean;
  dispose(): void;
}

/** States of some tokens: of one exit, and of the whole model with its log-sum-exp over the whole vocabulary. */
export interface HeadBatch {
  readonly rows: number;
  /** [rows, hiddenSize] before the exit's norm. */
  readonly hidden: Float32Array;
}

/** Loss of a batch and its slopes in the learned parameters, in their order. */
export interface HeadGradients {
  readonly loss: number;
  readonly gradients: readonly Float32Array[];
}

/** Makes the shared tensors. */
export function loadSharedHead(spec: NormSpec, { norm, rows }: HeadStart): SharedHead {
  const tensors = new TensorSet();
  const hiddenSize = norm.weight.length;
  const matrix = tf.tidy((): tf.Tensor2D => {
    return tf.transpose(tf.tensor2d(rows.matrix, [rows.matrix.length / hiddenSize, hiddenSize]));
  });
  return {
    spec,
    norm: {
      weight: tensors.add(tf.tensor1d(norm.weight)),
      bias: norm.bias && tensors.add(tf.tensor1d(norm.bias)),
    },
    matrix: tensors.add(matrix),
    bias: rows.bias && tensors.add(tf.tensor1d(rows.bias)),
    tail: rows.tail !== null,
    dispose: () => tensors.dispose(),
  };
}

/**
 * The whole model's probabilities of the heads' ids, and of all others together (1 minus their sum) where there is a
 * tail: [rows, ids (+ 1)], each row summing to 1. hidden: its last states, [rows, hiddenSize]; logSumExp: [rows]. The
 * caller disposes of it.
 */
export function teacherProbabilities(
  shared: SharedHead,
  { rows, hidden }: HeadBatch,
  logSumExp: Float32Array,
): tf.Tensor2D {
  return tf.tidy(() => {
    const x = tf.tensor2d(hidden, [rows, hidden.length / rows]);
    const logits = withBias(tf.matMul(normalize(x, shared.spec, shared.norm), shared.matrix), shared.bias);
    // States are kept as f16: a logit may come out a little above the sum that was taken before.
    const shares = tf.exp(tf.minimum<tf.Tensor2D>(tf.sub(logits, tf.tensor2d(logSumExp, [rows, 1])), 0));
    const all = shared.tail ? tf.concat([shares, tf.relu(tf.sub(1, tf.sum(shares, 1, true)))], 1) : shares;
    return tf.div<tf.Tensor2D>(all, tf.sum(all, 1, true));
  });
}

/** Logits of a head, [rows, ids (+ 1)]; the caller disposes of them. */
export function headLogits(shared: SharedHead, parameters: HeadParameters, batch: HeadBatch): tf.Tensor2D {
  return tf.tidy(() => logitsOf(shared, named(parameters, parameters.map(tensorOf)), batch));
}

/** Mean over the rows of KL(teacher || head) in nats. teacher: of {@link teacherProbabilities}. */
export function headLoss(
  shared: SharedHead,
  parameters: HeadParameters,
  batch: HeadBatch,
  teacher: tf.Tensor2D,
): number {
  const loss = tf.tidy(() => lossOf(shared, named(parameters, parameters.map(tensorOf)), batch, teacher));
  return read(loss)[0];
}

/** The same loss, and its gradients in the learned parameters. */
export function headGradients(
  shared: SharedHead,
  parameters: HeadParameters,
  batch: HeadBatch,
  teacher: tf.Tensor2D,
): HeadGradients {
  const learned = parameters.filter((one) => one.learned);
  const fixed = parameters.filter((one) => !one.learned);
  const { value, grads } = tf.tidy(() => {
    const kept = fixed.map(tensorOf);
    return tf.valueAndGrads((...moving: tf.Tensor[]) =>
      lossOf(shared, named([...learned, ...fixed], [...moving, ...kept]), batch, teacher),
    )(learned.map(tensorOf));
  });
  // Outside tidy, which would walk every element of an array that it returns.
  const [loss] = read(value);
  return { loss, gradients: grads.map(read) };
}

function lossOf(
  shared: SharedHead,
  tensors: ReadonlyMap<string, tf.Tensor>,
  batch: HeadBatch,
  teacher: tf.Tensor2D,
): tf.Scalar {
  const logits = logitsOf(shared, tensors, batch);
  // A share of nothing adds nothing: its logarithm is cut off far below any other.
  const ratios = tf.sub(tf.log(tf.maximum(teacher, 1e-30)), tf.logSoftmax(logits));
  return tf.div<tf.Scalar>(tf.sum(tf.mul(teacher, ratios)), batch.rows);
}

function logitsOf(
  shared: SharedHead,
  tensors: ReadonlyMap<string, tf.Tensor>,
  { rows, hidden }: HeadBatch,
): tf.Tensor2D {
  const hiddenSize = hidden.length / rows;
  const bias = tensors.get("norm_bias");
  const weights = { weight: vectorAt(tensors, "norm"), bias: bias ? vectorAt(tensors, "norm_bias") : null };
  const x = adapted(normalize(tf.tensor2d(hidden, [rows, hiddenSize]), shared.spec, weights), tensors);
  const matrix = tensors.has("matrix") ? transposed(tensors, "matrix") : shared.matrix;
  const logits = withBias(tf.matMul(x, matrix), shared.bias);
  if (!shared.tail) return logits;
  const tail = vectorAt(tensors, "tail");
  const weight: tf.Tensor2D = tf.reshape(tf.slice(tail, [0], [hiddenSize]), [hiddenSize, 1]);
  return tf.concat([logits, tf.add<tf.Tensor2D>(tf.matMul(x, weight), tf.slice(tail, [hiddenSize], [1]))], 1);
}

/** x + up(silu(down(x))), or x of a head without an adapter. */
function adapted(x: tf.Tensor2D, tensors: ReadonlyMap<string, tf.Tensor>): tf.Tensor2D {
  if (!tensors.has("down")) return x;
  const inner = ACTIVATION_FUNCTIONS.silu(tf.matMul(x, transposed(tensors, "down")));
  return tf.add<tf.Tensor2D>(x, tf.matMul(inner, transposed(tensors, "up")));
}

function withBias(logits: tf.Tensor2D, bias: tf.Tensor1D | null): tf.Tensor2D {
  return bias ? tf.add<tf.Tensor2D>(logits, bias) : logits;
}

function tensorOf({ shape, values }: HeadParameters[number]): tf.Tensor {
  return tf.tensor(values, [...shape]);
}

function named(parameters: HeadParameters, tensors: readonly tf.Tensor[]): ReadonlyMap<string, tf.Tensor> {
  return new Map(parameters.map(({ name }, i) => [name, tensors[i]]));
}

function tensorAt(tensors: ReadonlyMap<string, tf.Tensor>, name: string): tf.Tensor {
  const found = tensors.get(name);
  if (!found) throw new Error(`exits: the head has no ${name}`);
  return found;
}

function vectorAt(tensors: ReadonlyMap<string, tf.Tensor>, name: string): tf.Tensor1D {
  return tf.reshape<tf.Rank.R1>(tensorAt(tensors, name), [-1]);
}

function transposed(tensors: ReadonlyMap<string, tf.Tensor>, name: string): tf.Tensor2D {
  return tf.transpose<tf.Tensor2D>(tf.reshape<tf.Rank.R2>(tensorAt(tensors, name), [...shapeOf(tensors, name)]));
}

function shapeOf(tensors: ReadonlyMap<string, tf.Tensor>, name: string): [number, number] {
  const [rows, cols] = tensorAt(tensors, name).shape;
  return [rows, cols];
}

/** The numbers of a tensor, which is disposed of. */
function read(tensor: tf.Tensor): Float32Array {
  const values = tensor.dataSync<"float32">();
  tensor.dispose();
  return values;
}
