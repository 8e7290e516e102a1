import type { Family } from "./family.ts";
import { gatedSpec, LLAMA_BUFFERS, LLAMA_NAMES, readGatedSizes } from "./gated-decoder.ts";
import { readWindows } from "./window-fields.ts";

/** Qwen3 (dense): norms on each query and key head, `head_dim` of its own, windows as in Qwen2. */
export const qwen3: Family = {
  classes: ["Qwen3ForCausalLM"],
  ignored: LLAMA_BUFFERS,
  names: () => LLAMA_NAMES,
  describe(config) {
    // transformers takes 128 where head_dim is left out, not hidden/heads: too quiet a trap to guess.
    config.count("head_dim");
    const sizes = readGatedSizes(config);
    const attentionBias = config.flag("attention_bias", false);
    return gatedSpec(config, sizes, {
      bias: { qkv: attentionBias, o: attentionBias, mlp: false },
      windows: readWindows(config, sizes.layers, { used: false, window: 4096, fromLayer: 28 }),
      headNorms: "each",
    });
  },
};
