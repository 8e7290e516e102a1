import { z } from "zod";

/** Non-negative integer that JSON can hold exactly. */
const count = z.number().int().nonnegative();
/** Sizes and counts: what a 32-bit integer of the native engine holds. */
const positive = z
  .number()
  .int()
  .positive()
  .max(2 ** 31 - 1);
/** A factor that executors compute with: finite in f32. */
const positiveF32 = z
  .number()
  .positive()
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
 * `longrope`: a sequence longer than `originalMaxPositions` uses `longFactor` for ALL its positions, and cos/sin are
 * multiplied by `attentionFactor`.
 */
export const RopeSpec = z.strictObject({
  dims: positive,
  theta: z.number().positive(),
  scaling: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("none") }),
    z.strictObject({ kind: z.literal("linear"), factor: z.number().positive() }),
    z.strictObject({
      kind: z.literal("llama3"),
      factor: z.number().positive(),
      lowFreqFactor: z.number().positive(),
      highFreqFactor: z.number().positive(),
      originalMaxPositions: positive,
    }),
    z.strictObject({
      kind: z.literal("longrope"),
      shortFactor: z.array(z.number().positive()),
      longFactor: z.array(z.number().positive()),
      originalMaxPositions: positive,
      attentionFactor: z.number().positive(),
    }),
  ]),
});
export type RopeSpec = z.infer<typeof RopeSpec>;

/** Causal self-attention with grouped key/value heads; `window` counts the current token (key j is seen if j > i - window). */
export const AttentionSpec = z.strictObject({
  heads: positive,
  kvHeads: positive,
  headDim: positive,
  /** Factor on q·k, usually 1/sqrt(headDim). */
  scale: positiveF32,
  window: positive.nullable(),
  rope: RopeSpec.nullable(),
  /** Norm over headDim of each query and key head, before the rotary embedding (Qwen3). */
  qkNorm: NormSpec.nullable(),
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

/**
 * One decoder layer. Sequential: x += attn(norm x); x += mlp(norm x). Parallel: x += attn(norm x) + mlp(norm x), both from
 * the block's input. `mlpNorm` is null where the MLP of a parallel block shares the attention's normed input (Phi).
 * Blocks need not be alike: attention or MLP may be absent.
 */
export const BlockSpec = z.strictObject({
  residual: z.enum(["sequential", "parallel"]),
  attentionNorm: NormSpec.nullable(),
  attention: AttentionSpec.nullable(),
  mlpNorm: NormSpec.nullable(),
  mlp: MlpSpec.nullable(),
});
export type BlockSpec = z.infer<typeof BlockSpec>;

/** All that an executor needs to know of a model: plain data, stored in the artifact's manifest. */
export const DecoderSpec = z.strictObject({
  /** `model_type` of the source, for people. */
  family: z.string(),
  vocabSize: positive,
  hiddenSize: positive,
  /** Longest sequence that the positions were made for. */
  maxPositions: positive,
  /** The head is the embedding matrix itself; there is no matrix `head` then. */
  tied: z.boolean(),
  headBias: z.boolean(),
  blocks: z.array(BlockSpec),
  finalNorm: NormSpec,
  bosToken: count.nullable(),
  eosTokens: z.array(count),
});
export type DecoderSpec = z.infer<typeof DecoderSpec>;

/** Roles of matrices; `embedding` and `head` stand outside the blocks. */
const BLOCK_ROLES = ["attn.q", "attn.k", "attn.v", "attn.o", "mlp.gate", "mlp.up", "mlp.down"] as const;
export type BlockRole = (typeof BLOCK_ROLES)[number];
export type Role = "embedding" | "head" | BlockRole;

/** A matrix of the model under its canonical id: `embedding`, `head`, or `blocks.<i>.<role>`. */
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

/** The block's linear weights that exist, role by role, in execution order. */
export function linearsOf(block: BlockSpec): { role: BlockRole; linear: LinearSpec }[] {
  const a = block.attention;
  const m = block.mlp;
  const all: [BlockRole, LinearSpec | null | undefined][] = [
    ["attn.q", a?.q],
    ["attn.k", a?.k],
    ["attn.v", a?.v],
    ["attn.o", a?.o],
    ["mlp.gate", m?.gate],
    ["mlp.up", m?.up],
    ["mlp.down", m?.down],
  ];
  return all.flatMap(([role, linear]) => (linear ? [{ role, linear }] : []));
}

/** Every matrix of the model in execution order: embedding, blocks from first to last, head (absent when tied). */
export function matricesOf(spec: DecoderSpec): MatrixInfo[] {
  const embedding = { rows: spec.vocabSize, cols: spec.hiddenSize, block: null };
  const blocks = spec.blocks.flatMap((block, i) =>
    linearsOf(block).map(({ role, linear }) => ({
      id: `blocks.${i}.${role}`,
      role,
      block: i,
      rows: linear.rows,
      cols: linear.cols,
    })),
  );
  const head: MatrixInfo[] = spec.tied ? [] : [{ id: "head", role: "head", ...embedding }];
  return [{ id: "embedding", role: "embedding", ...embedding }, ...blocks, ...head];
}

/** Every vector of the model in execution order. Ids: `blocks.<i>.attn.norm.weight`, `.bias`, `blocks.<i>.attn.qNorm.weight`,
 * `blocks.<i>.attn.kNorm.weight`, `blocks.<i>.mlp.norm.weight`, `blocks.<i>.<role>.bias`, `finalNorm.weight`, `head.bias`. */
export function vectorsOf(spec: DecoderSpec): VectorInfo[] {
  const out: VectorInfo[] = [];
  const addNorm = (name: string, norm: NormSpec | null, block: number | null) => {
    if (!norm) return;
    out.push({ id: `${name}.weight`, block, length: norm.size });
    if (norm.kind === "layer") out.push({ id: `${name}.bias`, block, length: norm.size });
  };
  spec.blocks.forEach((block, i) => {
    addNorm(`blocks.${i}.attn.norm`, block.attentionNorm, i);
    addNorm(`blocks.${i}.attn.qNorm`, block.attention?.qkNorm ?? null, i);
    addNorm(`blocks.${i}.attn.kNorm`, block.attention?.qkNorm ?? null, i);
    addNorm(`blocks.${i}.mlp.norm`, block.mlpNorm, i);
    for (const { role, linear } of linearsOf(block)) {
      if (linear.bias) out.push({ id: `blocks.${i}.${role}.bias`, block: i, length: linear.rows });
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
