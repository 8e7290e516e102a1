import * as tf from "@tensorflow/tfjs-core";
import type { NormSpec } from "../../model/decoder-spec.ts";
import type { ExitHead } from "../heads.ts";
import { ACTIVATION_FUNCTIONS } from "./activations.ts";
import type { NormWeights } from "./block-weights.ts";
import { normalize } from "./decoder.ts";
import { denseTensor } from "./load-weights.ts";
import { type Head, headOf, withTail } from "./output-head.ts";
import { TensorSet } from "./tensor-set.ts";

/** A head and what comes before it; neither function disposes of anything. */
export interface NormedHead {
  readonly head: Head;
  /** [rows, hiddenSize] -> the rows normed */
  normed(hidden: tf.Tensor2D): tf.Tensor2D;
  /** Normed rows -> the head's input */
  adapted(normed: tf.Tensor2D): tf.Tensor2D;
  dispose(): void;
}

/** A head behind a norm whose tensors belong to somebody else. */
export function normedHead(head: Head, spec: NormSpec | null, weights: NormWeights | null): NormedHead {
  return {
    head,
    normed: (hidden) => tf.tidy(() => normalize(hidden, spec, weights)),
    adapted: (normed) => tf.clone(normed),
    dispose: () => head.dispose(),
  };
}

/**
 * x + up(silu(down(x))): down [hiddenSize, rank] and up [rank, hiddenSize] are transposed already. Differentiable in
 * all.
 */
function addAdapter(x: tf.Tensor2D, down: tf.Tensor2D, up: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => tf.add<tf.Tensor2D>(x, tf.matMul(ACTIVATION_FUNCTIONS.silu(tf.matMul(x, down)), up)));
}

/** An exit head as tensors. */
export function loadExitHead(exit: ExitHead, scratch: Float32Array): NormedHead {
  const { norm, adapter, matrix, bias, tail } = exit;
  const tensors = new TensorSet();
  const weights: NormWeights | null = norm && {
    weight: tensors.add(tf.tensor1d(norm.weight.slice())),
    bias: norm.bias && tensors.add(tf.tensor1d(norm.bias.slice())),
  };
  const head = headOf(matrix, bias, scratch);
  const loaded = normedHead(tail ? withTail(head, tail) : head, norm?.spec ?? null, weights);
  const factors = adapter && [tensors.add(denseTensor(adapter.down)), tensors.add(denseTensor(adapter.up))];
  return {
    ...loaded,
    ...(factors && { adapted: (normed: tf.Tensor2D) => addAdapter(normed, factors[0], factors[1]) }),
    dispose() {
      loaded.dispose();
      tensors.dispose();
    },
  };
}
