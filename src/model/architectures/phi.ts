import type { ConfigReader } from "../config-reader.ts";
import type { BlockSpec, DecoderSpec } from "../decoder-spec.ts";
import { attentionOf, decoderSpec, layerNorm, plainMlp, preNorm, readSizes } from "./decoder-fields.ts";
import type { Family } from "./family.ts";
import { LLAMA_BUFFERS } from "./gated-decoder.ts";
import { readRope } from "./rope-fields.ts";
import type { PartName, TensorNames } from "./tensor-names.ts";
import { noWindows } from "./window-fields.ts";

/** Fraction of a head that rotates where `partial_rotary_factor` is left out. */
const DEFAULT_ROTARY_FRACTION = 0.5;

/** Phi-1, Phi-1.5 and Phi-2: parallel blocks under one layer norm, biases everywhere, the output head included. */
export const phi: Family = {
  classes: ["PhiForCausalLM"],
  ignored: LLAMA_BUFFERS,
  names: () => PHI_NAMES,
  describe: phiSpec,
};

function phiSpec(config: ConfigReader): DecoderSpec {
  const sizes = readSizes(config, { kvHeads: true, headDim: false });
  noWindows(config, sizes.layers);
  const { hiddenSize, headDim, maxPositions } = sizes;
  const norm = layerNorm(config, hiddenSize);
  const rope = readRope(config, { headDim, maxPositions, partial: DEFAULT_ROTARY_FRACTION });
  const block: BlockSpec = {
    residual: "parallel",
    residualFactor: 1,
    attentionNorms: preNorm(norm),
    attention: attentionOf(sizes, rope, { qkv: true, o: true }),
    mlpNorms: preNorm(null),
    mlp: plainMlp(config, sizes),
  };
  const blocks = Array.from({ length: sizes.layers }, () => block);
  return decoderSpec(config, sizes, { headBias: true, blocks, finalNorm: norm });
}

const PHI_NAMES: TensorNames = {
  embedding: "model.embed_tokens",
  head: "lm_head",
  finalNorm: "model.final_layernorm",
  block: (i) => {
    const at = (name: string): PartName => ({ tensor: `model.layers.${i}.${name}` });
    return {
      "attn.norm": at("input_layernorm"),
      "attn.q": at("self_attn.q_proj"),
      "attn.k": at("self_attn.k_proj"),
      "attn.v": at("self_attn.v_proj"),
      "attn.o": at("self_attn.dense"),
      "mlp.up": at("mlp.fc1"),
      "mlp.down": at("mlp.fc2"),
    };
  },
};
