import type { DecoderSpec } from "../decoder-spec.ts";
import type { Family } from "./family.ts";
import { gatedSpec, LLAMA_BUFFERS, LLAMA_NAMES, readGatedSizes } from "./gated-decoder.ts";
import { type PartName, stackedQkv, type TensorNames } from "./tensor-names.ts";
import { readWindows } from "./window-fields.ts";

/** Phi-3, Phi-3.5 and Phi-4-mini: Llama with q, k, v stacked in one tensor and gate above up in another; LongRoPE. */
export const phi3: Family = {
  classes: ["Phi3ForCausalLM"],
  ignored: LLAMA_BUFFERS,
  names: phi3Names,
  describe(config) {
    const sizes = readGatedSizes(config);
    return gatedSpec(config, sizes, {
      bias: { qkv: false, o: false, mlp: false },
      partial: 1,
      windows: readWindows(config, sizes.layers, { used: true, window: null, fromLayer: null }),
    });
  },
};

function phi3Names({ blocks }: DecoderSpec): TensorNames {
  return {
    ...LLAMA_NAMES,
    block: (i) => {
      const { attention, mlp } = blocks[i];
      return {
        ...LLAMA_NAMES.block(i),
        ...(attention && stackedQkv(`model.layers.${i}.self_attn.qkv_proj`, attention.q.rows, attention.k.rows)),
        ...(mlp && gateAboveUp(`model.layers.${i}.mlp.gate_up_proj`, mlp.up.rows)),
      };
    },
  };
}

function gateAboveUp(tensor: string, rows: number): Record<"mlp.gate" | "mlp.up", PartName> {
  const half = (from: number): PartName => ({ tensor, fused: { rows: 2 * rows, ranges: [[from, from + rows]] } });
  return { "mlp.gate": half(0), "mlp.up": half(rows) };
}
