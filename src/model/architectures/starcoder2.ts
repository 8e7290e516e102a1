import type { ConfigReader } from "../config-reader.ts";
import type { BlockSpec, DecoderSpec } from "../decoder-spec.ts";
import { attentionOf, decoderSpec, layerNorm, plainMlp, preNorm, readSizes } from "./decoder-fields.ts";
import type { Family } from "./family.ts";
import { LLAMA_NAMES } from "./gated-decoder.ts";
import { readRope } from "./rope-fields.ts";
import type { TensorNames } from "./tensor-names.ts";
import { readWindows } from "./window-fields.ts";

/** StarCoder2: Llama's order of parts with layer norms, biases, an MLP without a gate, and a window in every block. */
export const starcoder2: Family = {
  classes: ["Starcoder2ForCausalLM"],
  ignored: [/^(model\.)?layers\.\d+\.self_attn\.rotary_emb\.inv_freq$/],
  names: () => NAMES,
  describe: starcoderSpec,
};

function starcoderSpec(config: ConfigReader): DecoderSpec {
  const sizes = readSizes(config, { kvHeads: true, headDim: true });
  const { hiddenSize, headDim, maxPositions } = sizes;
  const norm = layerNorm(config, hiddenSize, "norm_epsilon");
  const bias = config.flag("use_bias", true);
  const attention = attentionOf(sizes, readRope(config, { headDim, maxPositions, partial: null }), {
    qkv: bias,
    o: bias,
  });
  const mlp = plainMlp(config, sizes, bias);
  // Training code wrote down which norm and MLP it had; the models that exist have these.
  for (const [field, only] of [
    ["norm_type", "layer_norm"],
    ["mlp_type", "default"],
  ]) {
    if (config.raw(field) !== undefined && config.text(field) !== only)
      config.refuse(field, `"${only}" (not supported)`);
  }
  const blocks = readWindows(config, sizes.layers, { used: true, window: null, fromLayer: null }).map(
    (window): BlockSpec => ({
      residual: "sequential",
      residualFactor: 1,
      attentionNorms: preNorm(norm),
      attention: { ...attention, window },
      mlpNorms: preNorm(norm),
      mlp,
    }),
  );
  return decoderSpec(config, sizes, { headBias: false, blocks, finalNorm: norm, tied: true });
}

const NAMES: TensorNames = {
  ...LLAMA_NAMES,
  block: (i) => ({
    ...LLAMA_NAMES.block(i),
    "mlp.up": { tensor: `model.layers.${i}.mlp.c_fc` },
    "mlp.down": { tensor: `model.layers.${i}.mlp.c_proj` },
  }),
};
