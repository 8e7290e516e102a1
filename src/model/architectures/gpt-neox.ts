import type { ConfigReader } from "../config-reader.ts";
import type { AttentionSpec, BlockSpec, DecoderSpec } from "../decoder-spec.ts";
import { attentionOf, decoderSpec, layerNorm, plainMlp, preNorm, readSizes } from "./decoder-fields.ts";
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
  names: neoxNames,
  describe: neoxSpec,
};

function neoxSpec(config: ConfigReader): DecoderSpec {
  const sizes = readSizes(config, { kvHeads: false, headDim: false });
  noWindows(config, sizes.layers);
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

function neoxNames({ blocks }: DecoderSpec): TensorNames {
  // Made once for blocks that are alike: heads × blocks of a lying config are many.
  const made = new Map<string, ReturnType<typeof interleavedQkv>>();
  const rangesOf = ({ heads, headDim }: AttentionSpec) => {
    const key = `${heads} of ${headDim}`;
    const found = made.get(key) ?? interleavedQkv("", heads, headDim);
    made.set(key, found);
    return found;
  };
  return {
    embedding: "gpt_neox.embed_in",
    head: "embed_out",
    laterHead: "lm_head",
    finalNorm: "gpt_neox.final_layer_norm",
    block: (i) => {
      const at = (name: string): PartName => ({ tensor: `gpt_neox.layers.${i}.${name}` });
      const { attention } = blocks[i];
      const fused = attention && rangesOf(attention);
      const qkv = at("attention.query_key_value");
      return {
        "attn.norm": at("input_layernorm"),
        ...(fused && {
          "attn.q": { ...fused["attn.q"], ...qkv },
          "attn.k": { ...fused["attn.k"], ...qkv },
          "attn.v": { ...fused["attn.v"], ...qkv },
        }),
        "attn.o": at("attention.dense"),
        "mlp.norm": at("post_attention_layernorm"),
        "mlp.up": at("mlp.dense_h_to_4h"),
        "mlp.down": at("mlp.dense_4h_to_h"),
      };
    },
  };
}
