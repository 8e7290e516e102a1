import type { Family } from "./family.ts";
import { gatedSpec, LLAMA_BUFFERS, LLAMA_NAMES, readGatedSizes } from "./gated-decoder.ts";
import { noWindows } from "./window-fields.ts";

/** Granite 3 (dense): Llama with factors on the embedding, on q·k, on what attention and MLP add, and on the logits. */
export const granite: Family = {
  classes: ["GraniteForCausalLM"],
  ignored: LLAMA_BUFFERS,
  names: () => LLAMA_NAMES,
  reads: ["embedding_multiplier", "attention_multiplier", "residual_multiplier", "logits_scaling"],
  describe(config) {
    const sizes = readGatedSizes(config);
    const windows = noWindows(config, sizes.layers);
    const attentionBias = config.flag("attention_bias", false);
    return gatedSpec(config, sizes, {
      bias: { qkv: attentionBias, o: attentionBias, mlp: config.flag("mlp_bias", false) },
      windows,
      embeddingScale: config.positive("embedding_multiplier", 1),
      attentionScale: config.positive("attention_multiplier", 1),
      residualFactor: config.positive("residual_multiplier", 1),
      // The config's is what logits are divided by.
      logitFactor: 1 / config.positive("logits_scaling", 1),
    });
  },
};
