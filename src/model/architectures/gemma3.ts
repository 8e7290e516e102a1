import type { Family } from "./family.ts";
import { gatedSpec, LLAMA_NAMES, readGatedSizes } from "./gated-decoder.ts";
import { readRopesByType } from "./rope-fields.ts";
import type { TensorNames } from "./tensor-names.ts";
import { readPatternWindows } from "./window-fields.ts";

/**
 * transformers' defaults: base of the blocks that attend to everything, window, and which block in how many has none.
 */
const DEFAULT_THETA = 1e6;
const DEFAULT_WINDOWS = { window: 4096, pattern: 6 };

/**
 * Gemma 3's text models: norms before and after each half, stored as w of 1 + w, norms on each query and key head,
 * scaled embedding, and blocks with a window beside blocks that attend to everything, each kind with its own rotary
 * base.
 */
export const gemma3: Family = {
  classes: ["Gemma3ForCausalLM", "Gemma3TextModel"],
  ignored: [],
  names: () => NAMES,
  reads: ["query_pre_attn_scalar"],
  describe(config) {
    // transformers takes 256 where they are left out: too quiet a trap to guess.
    config.count("head_dim");
    const attentionScale = 1 / Math.sqrt(config.positive("query_pre_attn_scalar"));
    const sizes = readGatedSizes(config);
    const windows = readPatternWindows(config, sizes.layers, DEFAULT_WINDOWS);
    const { headDim, maxPositions } = sizes;
    const ropes = readRopesByType(config, { headDim, maxPositions, partial: null, defaultTheta: DEFAULT_THETA });
    const attentionBias = config.flag("attention_bias", false);
    return gatedSpec(config, sizes, {
      bias: { qkv: attentionBias, o: attentionBias, mlp: false },
      windows,
      ropes: windows.map((window) => (window === null ? ropes.full : ropes.sliding)),
      norms: "both",
      headNorms: "each",
      attentionScale,
      embeddingScale: Math.sqrt(sizes.hiddenSize),
      activationField: "hidden_activation",
      tied: true,
    });
  },
};

const NAMES: TensorNames = {
  ...LLAMA_NAMES,
  normOffset: 1,
  block: (i) => ({
    ...LLAMA_NAMES.block(i),
    "attn.postNorm": { tensor: `model.layers.${i}.post_attention_layernorm` },
    "mlp.norm": { tensor: `model.layers.${i}.pre_feedforward_layernorm` },
    "mlp.postNorm": { tensor: `model.layers.${i}.post_feedforward_layernorm` },
  }),
};
