import type { BlockSpec, DecoderSpec, RopeSpec } from "../model/decoder-spec.ts";

/** Sizes of a model of the Llama plan. */
interface LlamaSizes {
  readonly hidden: number;
  readonly blocks: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ffn: number;
  readonly vocab: number;
  readonly tied: boolean;
  readonly maxPositions: number;
  readonly theta: number;
  readonly scaling: RopeSpec["scaling"];
  readonly bosToken: number;
  readonly eosToken: number;
}

/**
 * Shapes that a random artifact can have: models whose weights do not fit a processor's cache, as their authors
 * published them.
 */
const SYNTHETIC_SHAPES = {
  /** TinyLlama-1.1B */
  "llama-1.1b": {
    hidden: 2048,
    blocks: 22,
    heads: 32,
    kvHeads: 4,
    headDim: 64,
    ffn: 5632,
    vocab: 32000,
    tied: false,
    maxPositions: 2048,
    theta: 10000,
    scaling: { kind: "none" },
    bosToken: 1,
    eosToken: 2,
  },
  /** Llama-3.2-1B */
  "llama-3.2-1b": {
    hidden: 2048,
    blocks: 16,
    heads: 32,
    kvHeads: 8,
    headDim: 64,
    ffn: 8192,
    vocab: 128256,
    tied: true,
    maxPositions: 131072,
    theta: 500000,
    scaling: {
      kind: "llama3",
      factor: 32,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositions: 8192,
    },
    bosToken: 128000,
    eosToken: 128001,
  },
} as const satisfies Record<string, LlamaSizes>;

export type SyntheticShape = keyof typeof SYNTHETIC_SHAPES;

/** True for the name of a shape. */
function isSyntheticShape(name: string): name is SyntheticShape {
  return Object.hasOwn(SYNTHETIC_SHAPES, name);
}

/** All names, in the table's order. */
export const SYNTHETIC_NAMES: readonly SyntheticShape[] = Object.keys(SYNTHETIC_SHAPES).filter(isSyntheticShape);

/** The spec of a model of that shape. */
export function syntheticSpec(shape: SyntheticShape): DecoderSpec {
  return llamaSpec(SYNTHETIC_SHAPES[shape]);
}

function llamaSpec(sizes: LlamaSizes): DecoderSpec {
  const { hidden, heads, kvHeads, headDim, ffn, theta, scaling } = sizes;
  const linear = (rows: number, cols: number) => ({ rows, cols, bias: false });
  const norm = { kind: "rms" as const, size: hidden, eps: 1e-5 };
  const block: BlockSpec = {
    residual: "sequential",
    residualFactor: 1,
    attentionNorms: { pre: norm, post: null },
    attention: {
      heads,
      kvHeads,
      headDim,
      scale: headDim ** -0.5,
      window: null,
      rope: { dims: headDim, theta, scaling },
      qNorm: null,
      kNorm: null,
      q: linear(heads * headDim, hidden),
      k: linear(kvHeads * headDim, hidden),
      v: linear(kvHeads * headDim, hidden),
      o: linear(hidden, heads * headDim),
    },
    mlpNorms: { pre: norm, post: null },
    mlp: { activation: "silu", gate: linear(ffn, hidden), up: linear(ffn, hidden), down: linear(hidden, ffn) },
  };
  return {
    family: "llama",
    vocabSize: sizes.vocab,
    hiddenSize: hidden,
    embeddingScale: 1,
    maxPositions: sizes.maxPositions,
    tied: sizes.tied,
    headBias: false,
    logitFactor: 1,
    blocks: Array.from({ length: sizes.blocks }, () => block),
    finalNorm: norm,
    bosToken: sizes.bosToken,
    eosTokens: [sizes.eosToken],
  };
}
