import type { Family } from "./family.ts";
import { gatedSpec, LLAMA_BUFFERS, LLAMA_NAMES, readGatedSizes } from "./gated-decoder.ts";
import { readWindows } from "./window-fields.ts";

/** Window of Mistral 7B v0.1, which transformers assumes where `sliding_window` is left out (null means none). */
const DEFAULT_WINDOW = 4096;

/** Mistral: Llama without biases and with a sliding window in every block. */
export const mistral: Family = {
  classes: ["MistralForCausalLM"],
  ignored: LLAMA_BUFFERS,
  names: () => LLAMA_NAMES,
  describe(config) {
    const sizes = readGatedSizes(config);
    return gatedSpec(config, sizes, {
      bias: { qkv: false, o: false, mlp: false },
      windows: readWindows(config, sizes.layers, { used: true, window: DEFAULT_WINDOW, fromLayer: null }),
    });
  },
};
