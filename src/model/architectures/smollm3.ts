import type { ConfigReader } from "../config-reader.ts";
import type { Family } from "./family.ts";
import { gatedSpec, LLAMA_BUFFERS, LLAMA_NAMES, readGatedSizes } from "./gated-decoder.ts";
import { readRope } from "./rope-fields.ts";
import { readWindows } from "./window-fields.ts";

/** transformers' defaults where a config leaves them out. */
const DEFAULT_THETA = 2e6;
const DEFAULT_INTERVAL = 4;

/** SmolLM3: Llama in which some blocks (every fourth, if the config does not list them) have no rotary embedding. */
export const smollm3: Family = {
  classes: ["SmolLM3ForCausalLM"],
  ignored: LLAMA_BUFFERS,
  names: () => LLAMA_NAMES,
  // Its products are not sliced: pretraining_tp, which the 3B states as 2, means nothing here.
  reads: ["no_rope_layers", "no_rope_layer_interval", "pretraining_tp"],
  describe(config) {
    const sizes = readGatedSizes(config);
    const { headDim, maxPositions } = sizes;
    const rope = readRope(config, { headDim, maxPositions, partial: null, defaultTheta: DEFAULT_THETA });
    const attentionBias = config.flag("attention_bias", false);
    config.raw("pretraining_tp");
    const rotated = rotates(config, sizes.layers);
    const windows = readWindows(config, sizes.layers, { used: false, window: null, fromLayer: null });
    // Where layer_types does not say it, blocks that rotate have no window.
    const listed = config.raw("layer_types") !== undefined;
    return gatedSpec(config, sizes, {
      bias: { qkv: attentionBias, o: attentionBias, mlp: config.flag("mlp_bias", false) },
      windows: windows.map((window, i) => (rotated[i] && !listed ? null : window)),
      ropes: rotated.map((one) => (one ? rope : null)),
      tied: true,
    });
  },
};

/** Whether each block has the rotary embedding: `no_rope_layers` says 1 where it has, despite its name. */
function rotates(config: ConfigReader, layers: number): boolean[] {
  const interval = config.count("no_rope_layer_interval", DEFAULT_INTERVAL);
  const listed = config.raw("no_rope_layers");
  if (listed === undefined) return Array.from({ length: layers }, (_, i) => (i + 1) % interval !== 0);
  const expected = `${layers} times 0 or 1`;
  if (!Array.isArray(listed) || listed.length !== layers) return config.refuse("no_rope_layers", expected);
  return listed.map((one: unknown) => (one === 0 || one === 1 ? one === 1 : config.refuse("no_rope_layers", expected)));
}
