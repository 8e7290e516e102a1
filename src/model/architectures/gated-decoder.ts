import type { ConfigReader } from "../config-reader.ts";
import type { BlockSpec, DecoderSpec, HalfNorms, MlpSpec, NormSpec, RopeSpec } from "../decoder-spec.ts";
import {
  attentionOf,
  type DecoderSizes,
  decoderSpec,
  linear,
  readActivation,
  readSizes,
  rmsNorm,
} from "./decoder-fields.ts";
import { readRope } from "./rope-fields.ts";
import type { PartName, TensorNames } from "./tensor-names.ts";

/** What the families of the Llama plan (sequential, RMS norms, gated MLP) differ in: every word that they may use. */
export interface GatedFamily {
  readonly bias: { readonly qkv: boolean; readonly o: boolean; readonly mlp: boolean };
  /** Sliding window of each block. */
  readonly windows: readonly (number | null)[];
  /** Rotary embedding of each block, null for none; absent: the config's in every block. */
  readonly ropes?: readonly (RopeSpec | null)[];
  /** Fraction of a head that rotates where the config is silent; absent where it is always the whole head. */
  readonly partial?: number;
  /** Norms around attention and around the MLP; absent: before each (`pre`). */
  readonly norms?: "pre" | "post" | "both";
  /** RMS norms of queries and keys before the rotary embedding: each head by itself, or all heads together. */
  readonly headNorms?: "each" | "all";
  /** Factor on q·k; absent: 1/sqrt(headDim). */
  readonly attentionScale?: number;
  /** Factors on the embedding, on what a block's halves add, and on the logits; absent: 1. */
  readonly embeddingScale?: number;
  readonly residualFactor?: number;
  readonly logitFactor?: number;
  /** Field that names the activation; absent: `hidden_act`. */
  readonly activationField?: string;
  /** `tie_word_embeddings` where the config is silent; absent: false. */
  readonly tied?: boolean;
}

/** Sizes of a family of the Llama plan. */
export function readGatedSizes(config: ConfigReader): DecoderSizes {
  return readSizes(config, { kvHeads: true, headDim: true });
}

/** Spec of a family of the Llama plan. */
export function gatedSpec(config: ConfigReader, sizes: DecoderSizes, family: GatedFamily): DecoderSpec {
  const { heads, kvHeads, headDim, maxPositions } = sizes;
  const { headNorms, residualFactor = 1 } = family;
  const ropes = family.ropes ?? family.windows.map(() => null);
  const rope = family.ropes ? null : readRope(config, { headDim, maxPositions, partial: family.partial ?? null });
  const norm = rmsNorm(config, sizes.hiddenSize);
  const headNorm = (count: number): NormSpec | null =>
    headNorms ? { ...norm, size: headNorms === "all" ? count * headDim : headDim } : null;
  const attention = {
    ...attentionOf(sizes, null, family.bias),
    ...(family.attentionScale !== undefined && { scale: family.attentionScale }),
    qNorm: headNorm(heads),
    kNorm: headNorm(kvHeads),
  };
  const norms = aroundHalves(norm, family.norms ?? "pre");
  const mlp = gatedMlp(config, sizes, family);
  const blocks = family.windows.map(
    (window, i): BlockSpec => ({
      residual: "sequential",
      residualFactor,
      attentionNorms: norms,
      attention: { ...attention, window, rope: rope ?? ropes[i] },
      mlpNorms: norms,
      mlp,
    }),
  );
  const { embeddingScale = 1, logitFactor = 1, tied = false } = family;
  const outer = { headBias: false, finalNorm: norm, embeddingScale, logitFactor, tied };
  return decoderSpec(config, sizes, { ...outer, blocks });
}

function aroundHalves(norm: NormSpec, where: "pre" | "post" | "both"): HalfNorms {
  return { pre: where === "post" ? null : norm, post: where === "pre" ? null : norm };
}

function gatedMlp(config: ConfigReader, sizes: DecoderSizes, { bias, activationField }: GatedFamily): MlpSpec {
  const { hiddenSize, intermediateSize } = sizes;
  return {
    activation: readActivation(config, activationField),
    gate: linear(intermediateSize, hiddenSize, bias.mlp),
    up: linear(intermediateSize, hiddenSize, bias.mlp),
    down: linear(hiddenSize, intermediateSize, bias.mlp),
  };
}

/** Tensor names of Llama, shared by Mistral, Qwen2, Qwen3, SmolLM3 and Granite; q and k norms where there are some. */
export const LLAMA_NAMES: TensorNames = {
  embedding: "model.embed_tokens",
  head: "lm_head",
  finalNorm: "model.norm",
  block: (i) => {
    const at = (name: string): PartName => ({ tensor: `model.layers.${i}.${name}` });
    return {
      "attn.norm": at("input_layernorm"),
      "attn.q": at("self_attn.q_proj"),
      "attn.k": at("self_attn.k_proj"),
      "attn.v": at("self_attn.v_proj"),
      "attn.qNorm": at("self_attn.q_norm"),
      "attn.kNorm": at("self_attn.k_norm"),
      "attn.o": at("self_attn.o_proj"),
      "mlp.norm": at("post_attention_layernorm"),
      "mlp.gate": at("mlp.gate_proj"),
      "mlp.up": at("mlp.up_proj"),
      "mlp.down": at("mlp.down_proj"),
    };
  },
};

/** Buffers that old Llama-like checkpoints store and nothing reads. */
export const LLAMA_BUFFERS: readonly RegExp[] = [
  /^(model\.)?layers\.\d+\.self_attn\.rotary_emb\.inv_freq$/,
  /^(model\.)?rotary_emb\.inv_freq$/,
];
