import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { PackedMatrix } from "../../model/weight-source.ts";

/** Weight and, for layer norm, bias: [size]. */
export interface NormWeights {
  readonly weight: Tensor1D;
  readonly bias: Tensor1D | null;
}

/** The weights of a half's norms; null where there is none. */
export interface HalfNormWeights {
  readonly pre: NormWeights | null;
  readonly post: NormWeights | null;
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
  readonly qNorm: NormWeights | null;
  readonly kNorm: NormWeights | null;
  readonly o: LinearWeights;
}

export interface MlpWeights {
  /** Gate and up side by side, or up alone. */
  readonly input: LinearWeights;
  readonly down: LinearWeights;
}

/** All weights of one block, ready to run. */
export interface BlockWeights {
  readonly attentionNorms: HalfNormWeights;
  readonly attention: AttentionWeights | null;
  readonly mlpNorms: HalfNormWeights;
  readonly mlp: MlpWeights | null;
}
