import type { Family } from "./family.ts";
import { gatedSpec, LLAMA_BUFFERS, LLAMA_NAMES, readGatedSizes } from "./gated-decoder.ts";
import { noWindows } from "./window-fields.ts";

/** Llama 1 to 3, SmolLM, TinyLlama and whatever else says `model_type: llama`. */
export const llama: Family = {
  classes: ["LlamaForCausalLM", "LLaMAForCausalLM"],
  ignored: LLAMA_BUFFERS,
  names: () => LLAMA_NAMES,
  describe(config) {
    const sizes = readGatedSizes(config);
    const windows = noWindows(config, sizes.layers);
    const attentionBias = config.flag("attention_bias", false);
    return gatedSpec(config, sizes, {
      bias: { qkv: attentionBias, o: attentionBias, mlp: config.flag("mlp_bias", false) },
      windows,
    });
  },
};
