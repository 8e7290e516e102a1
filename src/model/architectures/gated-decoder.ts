import type { ConfigReader } from "../config-reader.ts";
import type { AttentionSpec, BlockSpec, DecoderSpec, MlpSpec } from "../decoder-spec.ts";
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

/** What the families of the Llama plan (sequential, RMS norms, gated MLP, whole heads rotate) differ in. */
export interface GatedFamily {
  readonly bias: { readonly qkv: boolean; readonly o: boolean; readonly mlp: boolean };
  /** Fraction of a head that rotates where the config is silent; null where it is always the whole head. */
  readonly partial: number | null;
  /** Sliding window of each block. */
  readonly windows: readonly (number | null)[];
  /** RMS norm over each query and key head before the rotary embedding. */
  readonly qkNorm: boolean;
}

/** Sizes of a family of the Llama plan. */
export function readGatedSizes(config: ConfigReader): DecoderSizes {
  return readSizes(config, { kvHeads: true, headDim: true });
}

/** Spec of a family of the Llama plan. */
export function gatedSpec(config: ConfigReader, sizes: DecoderSizes, family: GatedFamily): DecoderSpec {
  const { hiddenSize, headDim, maxPositions } = sizes;
  const rope = readRope(config, { headDim, maxPositions, partial: family.partial });
  const attention: AttentionSpec = {
    ...attentionOf(sizes, rope, family.bias),
    qkNorm: family.qkNorm ? rmsNorm(config, headDim) : null,
  };
  const norm = rmsNorm(config, hiddenSize);
  const mlp = gatedMlp(config, sizes, family.bias.mlp);
  const blocks = family.windows.map(
    (window): BlockSpec => ({
      residual: "sequential",
      attentionNorm: norm,
      attention: { ...attention, window },
      mlpNorm: norm,
      mlp,
    }),
  );
  return decoderSpec(config, sizes, { headBias: false, blocks, finalNorm: norm });
}

function gatedMlp(config: ConfigReader, sizes: DecoderSizes, bias: boolean): MlpSpec {
  const { hiddenSize, intermediateSize } = sizes;
  return {
    activation: readActivation(config),
    gate: linear(intermediateSize, hiddenSize, bias),
    up: linear(intermediateSize, hiddenSize, bias),
    down: linear(hiddenSize, intermediateSize, bias),
  };
}

/** Tensor names of Llama, shared by Mistral, Qwen2 and Qwen3. */
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
  /^model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq$/,
  /^model\.rotary_emb\.inv_freq$/,
];
