import type { DecoderSizes } from "./decoder-fields.ts";
import type { Family } from "./family.ts";
import { gatedSpec, LLAMA_BUFFERS, LLAMA_NAMES, readGatedSizes } from "./gated-decoder.ts";
import { type PartName, stackedQkv, type TensorNames } from "./tensor-names.ts";
import { readWindows } from "./window-fields.ts";

/** Phi-3, Phi-3.5 and Phi-4-mini: Llama with q, k, v stacked in one tensor and gate above up in another; LongRoPE. */
export const phi3: Family = {
  classes: ["Phi3ForCausalLM"],
  ignored: LLAMA_BUFFERS,
  describe(config) {
    const sizes = readGatedSizes(config);
    const spec = gatedSpec(config, sizes, {
      bias: { qkv: false, o: false, mlp: false },
      partial: 1,
      windows: readWindows(config, sizes.layers, { used: true, window: null, fromLayer: null }),
    });
    return { spec, names: phi3Names(sizes) };
  },
};

function phi3Names(sizes: DecoderSizes): TensorNames {
  const { heads, kvHeads, headDim, intermediateSize } = sizes;
  return {
    ...LLAMA_NAMES,
    block: (i) => {
      const half = (from: number): PartName => ({
        tensor: `model.layers.${i}.mlp.gate_up_proj`,
        fused: { rows: 2 * intermediateSize, ranges: [[from, from + intermediateSize]] },
      });
      return {
        ...LLAMA_NAMES.block(i),
        ...stackedQkv(`model.layers.${i}.self_attn.qkv_proj`, heads * headDim, kvHeads * headDim),
        "mlp.gate": half(0),
        "mlp.up": half(intermediateSize),
      };
    },
  };
}
