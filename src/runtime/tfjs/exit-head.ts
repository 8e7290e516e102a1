import * as tf from "@tensorflow/tfjs-core";
import type { NormSpec } from "../../model/decoder-spec.ts";
import type { ExitHead } from "../executor.ts";
import type { NormWeights } from "./block-weights.ts";
import { normalize } from "./decoder.ts";
import { type Head, headOf } from "./output-head.ts";
import { TensorSet } from "./tensor-set.ts";

/** A head and the norm before it. */
export interface NormedHead {
  readonly head: Head;
  /** [rows, hiddenSize] -> the head's input; disposes of nothing. */
  normed(hidden: tf.Tensor2D): tf.Tensor2D;
  dispose(): void;
}

/** A head behind a norm whose tensors belong to somebody else. */
export function normedHead(head: Head, spec: NormSpec | null, weights: NormWeights | null): NormedHead {
  return {
    head,
    normed: (hidden) => tf.tidy(() => normalize(hidden, spec, weights)),
    dispose: () => head.dispose(),
  };
}

/** An exit head as tensors. */
export function loadExitHead({ norm, matrix, bias }: ExitHead, scratch: Float32Array): NormedHead {
  const tensors = new TensorSet();
  const weights: NormWeights | null = norm && {
    weight: tensors.add(tf.tensor1d(norm.weight.slice())),
    bias: norm.bias && tensors.add(tf.tensor1d(norm.bias.slice())),
  };
  const loaded = normedHead(headOf(matrix, bias, scratch), norm?.spec ?? null, weights);
  return {
    ...loaded,
    dispose() {
      loaded.dispose();
      tensors.dispose();
    },
  };
}
