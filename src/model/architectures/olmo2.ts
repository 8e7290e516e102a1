import type { Family } from "./family.ts";
import { gatedSpec, LLAMA_BUFFERS, LLAMA_NAMES, readGatedSizes } from "./gated-decoder.ts";
import type { TensorNames } from "./tensor-names.ts";
import { noWindows } from "./window-fields.ts";

/**
 * OLMo 2: Llama with its norms after attention and MLP instead of before, and norms over all query and all key heads.
 */
export const olmo2: Family = {
  classes: ["Olmo2ForCausalLM"],
  ignored: LLAMA_BUFFERS,
  names: () => NAMES,
  describe(config) {
    const sizes = readGatedSizes(config);
    const windows = noWindows(config, sizes.layers);
    const attentionBias = config.flag("attention_bias", false);
    return gatedSpec(config, sizes, {
      bias: { qkv: attentionBias, o: attentionBias, mlp: false },
      windows,
      norms: "post",
      headNorms: "all",
    });
  },
};

const NAMES: TensorNames = {
  ...LLAMA_NAMES,
  block: (i) => ({
    ...LLAMA_NAMES.block(i),
    "attn.postNorm": { tensor: `model.layers.${i}.post_attention_layernorm` },
    "mlp.postNorm": { tensor: `model.layers.${i}.post_feedforward_layernorm` },
  }),
};
