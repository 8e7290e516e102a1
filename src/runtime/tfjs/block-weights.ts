import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { PackedMatrix } from "../../model/weight-source.ts";

/** Weight and, for layer norm, bias: [size]; for the norm of queries and keys [heads, headDim]. */
export interface NormWeights {
  readonly weight: Tensor1D | Tensor2D;
  readonly bias: Tensor1D | null;
}

/** A matrix as executed: dense in [in, out] orientation, or packed. */
export type ExecutedMatrix = Tensor2D | PackedMatrix;

/** Matrices that take the same input; their outputs stand side by side: x [rows, in] -> [rows, sum of outputs]. */
export interface LinearWeights {
  readonly matrices: readonly ExecutedMatrix[];
  /** [sum of outputs] */
  readonly bias: Tensor1D | null;
}

export interface AttentionWeights {
  /** Queries, keys and values side by side. */
  readonly qkv: LinearWeights;
  /** Weights [heads + kvHeads, headDim]: the query norm for every query head, then the key norm for every key head. */
  readonly qkNorm: NormWeights | null;
  readonly o: LinearWeights;
}

export interface MlpWeights {
  /** Gate and up side by side, or up alone. */
  readonly input: LinearWeights;
  readonly down: LinearWeights;
}

/** All weights of one block, ready to run. */
export interface BlockWeights {
  readonly attentionNorm: NormWeights | null;
  readonly attention: AttentionWeights | null;
  readonly mlpNorm: NormWeights | null;
  readonly mlp: MlpWeights | null;
}
