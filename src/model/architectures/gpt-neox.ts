import type { ConfigReader } from "../config-reader.ts";
import type { BlockSpec, DecoderSpec } from "../decoder-spec.ts";
import {
  attentionOf,
  type DecoderSizes,
  decoderSpec,
  layerNorm,
  plainMlp,
  preNorm,
  readSizes,
} from "./decoder-fields.ts";
import type { Family } from "./family.ts";
import { readRope } from "./rope-fields.ts";
import { interleavedQkv, type PartName, type TensorNames } from "./tensor-names.ts";
import { noWindows } from "./window-fields.ts";

/** Fraction of a head that rotates where `rotary_pct` is left out. */
const DEFAULT_ROTARY_FRACTION = 0.25;

/** GPT-NeoX and Pythia: layer norms, two in each block even where it is parallel; q, k, v fused head by head. */
export const gptNeox: Family = {
  classes: ["GPTNeoXForCausalLM"],
  ignored: [
    /^(gpt_neox\.)?layers\.\d+\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$/,
    /^(gpt_neox\.)?rotary_emb\.inv_freq$/,
  ],
  describe(config) {
    const sizes = readSizes(config, { kvHeads: false, headDim: false });
    noWindows(config, sizes.layers);
    return { spec: neoxSpec(config, sizes), names: neoxNames(sizes) };
  },
};

function neoxSpec(config: ConfigReader, sizes: DecoderSizes): DecoderSpec {
  const { hiddenSize, headDim, maxPositions } = sizes;
  const norm = layerNorm(config, hiddenSize);
  const attentionBias = config.flag("attention_bias", true);
  const rope = readRope(config, {
    headDim,
    maxPositions,
    partial: DEFAULT_ROTARY_FRACTION,
    thetaAlias: "rotary_emb_base",
    partialAlias: "rotary_pct",
  });
  const block: BlockSpec = {
    residual: config.flag("use_parallel_residual", true) ? "parallel" : "sequential",
    residualFactor: 1,
    attentionNorms: preNorm(norm),
    attention: attentionOf(sizes, rope, { qkv: attentionBias, o: attentionBias }),
    mlpNorms: preNorm(norm),
    mlp: plainMlp(config, sizes),
  };
  const blocks = Array.from({ length: sizes.layers }, () => block);
  return decoderSpec(config, sizes, { headBias: false, blocks, finalNorm: norm });
}

function neoxNames({ heads, headDim }: DecoderSizes): TensorNames {
  // The same in every block: made once, for heads × blocks of a lying config are many.
  const { "attn.q": q, "attn.k": k, "attn.v": v } = interleavedQkv("", heads, headDim);
  return {
    embedding: "gpt_neox.embed_in",
    head: "embed_out",
    laterHead: "lm_head",
    finalNorm: "gpt_neox.final_layer_norm",
    block: (i) => {
      const at = (name: string): PartName => ({ tensor: `gpt_neox.layers.${i}.${name}` });
      const qkv = at("attention.query_key_value");
      return {
        "attn.norm": at("input_layernorm"),
        "attn.q": { ...q, ...qkv },
        "attn.k": { ...k, ...qkv },
        "attn.v": { ...v, ...qkv },
        "attn.o": at("attention.dense"),
        "mlp.norm": at("post_attention_layernorm"),
        "mlp.up": at("mlp.dense_h_to_4h"),
        "mlp.down": at("mlp.dense_4h_to_h"),
      };
    },
  };
}
