import { z } from "zod";
import { type BlockRole, idOf, NORM_PARTS, type NormPart, ROLES, type Role } from "./matrix-id.ts";

/** Non-negative integer that JSON can hold exactly. */
const count = z.number().int().nonnegative();
/** Sizes and counts: what a 32-bit integer of the native engine holds. */
const positive = z
  .number()
  .int()
  .positive()
  .max(2 ** 31 - 1);
/** A number that executors compute with: in f32 finite and not 0. */
const positiveF32 = z
  .number()
  .min(2 ** -126)
  .max((2 - 2 ** -23) * 2 ** 127);

/** A normalisation: root-mean-square (weight only) or layer norm (weight and bias). */
export const NormSpec = z.strictObject({
  kind: z.enum(["rms", "layer"]),
  size: positive,
  eps: positiveF32,
});
export type NormSpec = z.infer<typeof NormSpec>;

/** One linear weight `[rows = outputs, cols = inputs]`, y = W x (+ bias). */
export const LinearSpec = z.strictObject({ rows: positive, cols: positive, bias: z.boolean() });
export type LinearSpec = z.infer<typeof LinearSpec>;

/**
 * Rotary position embedding over the first `dims` channels of each attention head, half-split pairs (i, i + dims/2).
 * `dynamic`: plain as far as `maxPositions` of the model, and not defined beyond. `yarn`: pairs that turn less than
 * `betaSlow` times within `originalMaxPositions` are stretched by `factor`, those that turn more than `betaFast` times
 * kept, those between blended; cos/sin are multiplied by `attentionFactor`; `truncate`: the two bounds are whole pairs.
 * `longrope`: a sequence longer than `originalMaxPositions` uses `longFactor` for ALL its positions, and cos/sin are
 * multiplied by `attentionFactor`.
 */
export const RopeSpec = z.strictObject({
  dims: positive,
  theta: positiveF32,
  scaling: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("none") }),
    z.strictObject({ kind: z.literal("linear"), factor: positiveF32 }),
    z.strictObject({ kind: z.literal("dynamic"), factor: positiveF32 }),
    z.strictObject({
      kind: z.literal("yarn"),
      factor: positiveF32,
      betaFast: positiveF32,
      betaSlow: positiveF32,
      truncate: z.boolean(),
      originalMaxPositions: positive,
      attentionFactor: positiveF32,
    }),
    z.strictObject({
      kind: z.literal("llama3"),
      factor: positiveF32,
      lowFreqFactor: positiveF32,
      highFreqFactor: positiveF32,
      originalMaxPositions: positive,
    }),
    z.strictObject({
      kind: z.literal("longrope"),
      shortFactor: z.array(positiveF32),
      longFactor: z.array(positiveF32),
      originalMaxPositions: positive,
      attentionFactor: positiveF32,
    }),
  ]),
});
export type RopeSpec = z.infer<typeof RopeSpec>;

/**
 * Causal self-attention with grouped key/value heads; `window` counts the current token (key j is seen if j > i -
 * window).
 */
export const AttentionSpec = z.strictObject({
  heads: positive,
  kvHeads: positive,
  headDim: positive,
  /** Factor on q·k, usually 1/sqrt(headDim). */
  scale: positiveF32,
  window: positive.nullable(),
  rope: RopeSpec.nullable(),
  /**
   * Norm of the queries before the rotary embedding, so many channels at a time as it has: those of each head by itself
   * (Qwen3, Gemma 3), or of all heads together (OLMo 2). `kNorm`: the same of the keys.
   */
  qNorm: NormSpec.nullable(),
  kNorm: NormSpec.nullable(),
  q: LinearSpec,
  k: LinearSpec,
  v: LinearSpec,
  o: LinearSpec,
});
export type AttentionSpec = z.infer<typeof AttentionSpec>;

export const ACTIVATIONS = ["silu", "gelu-erf", "gelu-tanh", "relu"] as const;

/** Feed-forward part: gated `down(act(gate x) * up x)` or plain `down(act(up x))`. */
export const MlpSpec = z.strictObject({
  activation: z.enum(ACTIVATIONS),
  gate: LinearSpec.nullable(),
  up: LinearSpec,
  down: LinearSpec,
});
export type MlpSpec = z.infer<typeof MlpSpec>;

/** Norms around a half of a block: of what it reads, and of what it gives before that is added; null: there is none. */
export const HalfNorms = z.strictObject({ pre: NormSpec.nullable(), post: NormSpec.nullable() });
export type HalfNorms = z.infer<typeof HalfNorms>;

/**
 * One decoder layer: attention and MLP, each half(x) = residualFactor * post(f(pre(x))). Sequential: x += attention(x),
 * then x += mlp(x). Parallel: x += attention(x) + mlp(x), both from the block's input; there an MLP whose norms have no
 * `pre` shares the attention's normed input (Phi). Blocks need not be alike: attention or MLP may be absent.
 */
export const BlockSpec = z.strictObject({
  residual: z.enum(["sequential", "parallel"]),
  residualFactor: positiveF32,
  attentionNorms: HalfNorms,
  attention: AttentionSpec.nullable(),
  mlpNorms: HalfNorms,
  mlp: MlpSpec.nullable(),
});
export type BlockSpec = z.infer<typeof BlockSpec>;

/** All that an executor needs to know of a model: plain data, stored in the artifact's manifest. */
export const DecoderSpec = z.strictObject({
  /** `model_type` of the source, for people. */
  family: z.string(),
  vocabSize: positive,
  hiddenSize: positive,
  /** Factor on the embedding's rows: hidden[0] = embeddingScale * row. */
  embeddingScale: positiveF32,
  /** Longest sequence that the positions were made for. */
  maxPositions: positive,
  /** The head is the embedding matrix itself; there is no matrix `head` then. */
  tied: z.boolean(),
  headBias: z.boolean(),
  /** Factor on what the output head gives, its bias included. */
  logitFactor: positiveF32,
  blocks: z.array(BlockSpec),
  finalNorm: NormSpec,
  bosToken: count.nullable(),
  eosTokens: z.array(count),
});
export type DecoderSpec = z.infer<typeof DecoderSpec>;

/** A matrix of the model under its canonical id: `embedding`, `head`, or idOf(block, role). */
export interface MatrixInfo {
  readonly id: string;
  readonly role: Role;
  /** Block number, or null for embedding and head. */
  readonly block: number | null;
  readonly rows: number;
  readonly cols: number;
}

/** A vector of the model (norm weight or bias, linear bias) under its canonical id, always kept in f32. */
export interface VectorInfo {
  readonly id: string;
  readonly block: number | null;
  readonly length: number;
}

/** Where a block's spec has the linear weight of a role. */
const LINEAR_OF: Readonly<Record<BlockRole, (block: BlockSpec) => LinearSpec | null | undefined>> = {
  "attn.q": ({ attention }) => attention?.q,
  "attn.k": ({ attention }) => attention?.k,
  "attn.v": ({ attention }) => attention?.v,
  "attn.o": ({ attention }) => attention?.o,
  "mlp.gate": ({ mlp }) => mlp?.gate,
  "mlp.up": ({ mlp }) => mlp?.up,
  "mlp.down": ({ mlp }) => mlp?.down,
};

/** Where a block's spec has the norm of a part. */
const NORM_OF: Readonly<Record<NormPart, (block: BlockSpec) => NormSpec | null | undefined>> = {
  "attn.norm": ({ attentionNorms }) => attentionNorms.pre,
  "attn.qNorm": ({ attention }) => attention?.qNorm,
  "attn.kNorm": ({ attention }) => attention?.kNorm,
  "attn.postNorm": ({ attentionNorms }) => attentionNorms.post,
  "mlp.norm": ({ mlpNorms }) => mlpNorms.pre,
  "mlp.postNorm": ({ mlpNorms }) => mlpNorms.post,
};

/** The block's linear weights that exist, role by role, in execution order. */
export function linearsOf(block: BlockSpec): { role: BlockRole; linear: LinearSpec }[] {
  return ROLES.flatMap((role) => {
    const linear = LINEAR_OF[role](block);
    return linear ? [{ role, linear }] : [];
  });
}

/** Every matrix of the model in execution order: embedding, blocks from first to last, head (absent when tied). */
export function matricesOf(spec: DecoderSpec): MatrixInfo[] {
  const embedding = { rows: spec.vocabSize, cols: spec.hiddenSize, block: null };
  const blocks = spec.blocks.flatMap((block, i) =>
    linearsOf(block).map(({ role, linear }) => ({
      id: idOf(i, role),
      role,
      block: i,
      rows: linear.rows,
      cols: linear.cols,
    })),
  );
  const head: MatrixInfo[] = spec.tied ? [] : [{ id: "head", role: "head", ...embedding }];
  return [{ id: "embedding", role: "embedding", ...embedding }, ...blocks, ...head];
}

/**
 * Every vector of the model in execution order. Ids: of a norm's part `.weight` and, for layer norm, `.bias`; of a role
 * `.bias` (all made by idOf); `finalNorm.weight`, `finalNorm.bias`, `head.bias`.
 */
export function vectorsOf(spec: DecoderSpec): VectorInfo[] {
  const out: VectorInfo[] = [];
  const addNorm = (name: string, norm: NormSpec | null | undefined, block: number | null) => {
    if (!norm) return;
    out.push({ id: `${name}.weight`, block, length: norm.size });
    if (norm.kind === "layer") out.push({ id: `${name}.bias`, block, length: norm.size });
  };
  spec.blocks.forEach((block, i) => {
    for (const part of NORM_PARTS) addNorm(idOf(i, part), NORM_OF[part](block), i);
    for (const { role, linear } of linearsOf(block)) {
      if (linear.bias) out.push({ id: idOf(i, `${role}.bias`), block: i, length: linear.rows });
    }
  });
  addNorm("finalNorm", spec.finalNorm, null);
  if (spec.headBias) out.push({ id: "head.bias", block: null, length: spec.vocabSize });
  return out;
}

/** Id of the matrix that the output head multiplies with: `embedding` when tied. */
export function headMatrixId(spec: DecoderSpec): "embedding" | "head" {
  return spec.tied ? "embedding" : "head";
}
