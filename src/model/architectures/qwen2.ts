import type { Family } from "./family.ts";
import { gatedSpec, LLAMA_BUFFERS, LLAMA_NAMES, readGatedSizes } from "./gated-decoder.ts";
import { readWindows } from "./window-fields.ts";

/** Qwen2 and Qwen2.5: Llama with biases on q, k and v; a window only where `use_sliding_window` is true. */
export const qwen2: Family = {
  classes: ["Qwen2ForCausalLM"],
  ignored: LLAMA_BUFFERS,
  names: () => LLAMA_NAMES,
  describe(config) {
    const sizes = readGatedSizes(config);
    return gatedSpec(config, sizes, {
      bias: { qkv: true, o: false, mlp: false },
      windows: readWindows(config, sizes.layers, { used: false, window: 4096, fromLayer: 28 }),
    });
  },
};
