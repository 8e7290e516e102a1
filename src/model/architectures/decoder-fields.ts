import type { ConfigReader } from "../config-reader.ts";
import type {
  ACTIVATIONS,
  AttentionSpec,
  DecoderSpec,
  HalfNorms,
  LinearSpec,
  MlpSpec,
  NormSpec,
  RopeSpec,
} from "../decoder-spec.ts";

/** Most blocks that a config may ask for: a lying file must not make us allocate without end. */
const MAX_BLOCKS = 4096;
/** Most attention heads: fused tensors cost one row range a head. */
const MAX_HEADS = 4096;
/** Most channels of one head: its rotary embedding has a table of them. */
const MAX_HEAD_DIM = 65536;

/** Names of `hidden_act` that mean the same function. gelu_new and gelu_pytorch_tanh are the tanh approximation. */
const ACTIVATION_NAMES: Readonly<Record<string, (typeof ACTIVATIONS)[number]>> = {
  silu: "silu",
  swish: "silu",
  gelu: "gelu-erf",
  gelu_new: "gelu-tanh",
  gelu_pytorch_tanh: "gelu-tanh",
  gelu_fast: "gelu-tanh",
  relu: "relu",
};

/** Sizes that every family states. */
export interface DecoderSizes {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly maxPositions: number;
}

/**
 * Reads the sizes; head counts that do not divide are refused. `family`: which of num_key_value_heads and head_dim it
 * has.
 */
export function readSizes(config: ConfigReader, family: { kvHeads: boolean; headDim: boolean }): DecoderSizes {
  const hiddenSize = config.count("hidden_size");
  const heads = config.count("num_attention_heads");
  if (heads > MAX_HEADS) config.refuse("num_attention_heads", `at most ${MAX_HEADS}`);
  const given = family.headDim && config.raw("head_dim") !== undefined;
  if (!given && hiddenSize % heads !== 0) {
    config.refuse("hidden_size", `a multiple of num_attention_heads ${heads}`);
  }
  const kvHeads = family.kvHeads ? config.count("num_key_value_heads", heads) : heads;
  if (heads % kvHeads !== 0) config.refuse("num_key_value_heads", `a divisor of num_attention_heads ${heads}`);
  const layers = config.count("num_hidden_layers");
  if (layers > MAX_BLOCKS) config.refuse("num_hidden_layers", `at most ${MAX_BLOCKS}`);
  const headDim = given ? config.count("head_dim") : hiddenSize / heads;
  if (headDim > MAX_HEAD_DIM) config.refuse(given ? "head_dim" : "hidden_size", `at most ${MAX_HEAD_DIM} a head`);
  return {
    vocabSize: config.count("vocab_size"),
    hiddenSize,
    intermediateSize: config.count("intermediate_size"),
    layers,
    heads,
    kvHeads,
    headDim,
    maxPositions: config.count("max_position_embeddings"),
  };
}

/** The function that a field names; one that is not implemented is refused. */
export function readActivation(config: ConfigReader, field = "hidden_act"): (typeof ACTIVATIONS)[number] {
  const name = config.text(field);
  if (!Object.hasOwn(ACTIVATION_NAMES, name)) {
    config.refuse(field, `one of ${Object.keys(ACTIVATION_NAMES).join(", ")} (not supported)`);
  }
  return ACTIVATION_NAMES[name];
}

/** The first beginning-of-text token and all end-of-text tokens. */
function readTokens(config: ConfigReader, vocabSize: number): { bosToken: number | null; eosTokens: number[] } {
  return {
    bosToken: config.ids("bos_token_id", vocabSize)[0] ?? null,
    eosTokens: config.ids("eos_token_id", vocabSize),
  };
}

/** RMS norm over `length` channels. */
export function rmsNorm(config: ConfigReader, length: number): NormSpec {
  return { kind: "rms", size: length, eps: config.positive("rms_norm_eps") };
}

/** Layer norm with bias over `length` channels; `field` names its epsilon. */
export function layerNorm(config: ConfigReader, length: number, field = "layer_norm_eps"): NormSpec {
  return { kind: "layer", size: length, eps: config.positive(field) };
}

/** Norms around a half of a block that norms what it reads only. */
export function preNorm(norm: NormSpec | null): HalfNorms {
  return { pre: norm, post: null };
}

/** One linear weight. */
export function linear(rows: number, cols: number, bias: boolean): LinearSpec {
  return { rows, cols, bias };
}

/**
 * Attention scaled by 1/sqrt(headDim), biases as told; window and q/k norms are added by the families that have them.
 */
export function attentionOf(
  sizes: DecoderSizes,
  rope: RopeSpec | null,
  bias: { qkv: boolean; o: boolean },
): AttentionSpec {
  const { heads, kvHeads, headDim, hiddenSize } = sizes;
  return {
    heads,
    kvHeads,
    headDim,
    scale: 1 / Math.sqrt(headDim),
    window: null,
    rope,
    qNorm: null,
    kNorm: null,
    q: linear(heads * headDim, hiddenSize, bias.qkv),
    k: linear(kvHeads * headDim, hiddenSize, bias.qkv),
    v: linear(kvHeads * headDim, hiddenSize, bias.qkv),
    o: linear(hiddenSize, heads * headDim, bias.o),
  };
}

/** MLP without a gate: down(act(up x)). */
export function plainMlp(config: ConfigReader, { hiddenSize, intermediateSize }: DecoderSizes, bias = true): MlpSpec {
  return {
    activation: readActivation(config),
    gate: null,
    up: linear(intermediateSize, hiddenSize, bias),
    down: linear(hiddenSize, intermediateSize, bias),
  };
}

/** A family's own parts of a spec; `tied`: where the config says nothing of it. */
export interface OwnParts extends Pick<DecoderSpec, "headBias" | "blocks" | "finalNorm"> {
  readonly embeddingScale?: number;
  readonly logitFactor?: number;
  readonly tied?: boolean;
}

/** The spec of a family's own parts, with what every family states in the same fields. */
export function decoderSpec(
  config: ConfigReader,
  { vocabSize, hiddenSize, maxPositions }: DecoderSizes,
  { headBias, blocks, finalNorm, embeddingScale = 1, logitFactor = 1, tied = false }: OwnParts,
): DecoderSpec {
  return {
    family: config.text("model_type"),
    vocabSize,
    hiddenSize,
    embeddingScale,
    maxPositions: Math.max(maxPositions, ...blocks.map(({ attention }) => reachOf(attention?.rope ?? null))),
    tied: config.flag("tie_word_embeddings", tied),
    headBias,
    logitFactor,
    blocks,
    finalNorm,
    ...readTokens(config, vocabSize),
  };
}

/** Positions that YaRN was made to reach: configs state those of before it, or those. */
function reachOf(rope: RopeSpec | null): number {
  return rope?.scaling.kind === "yarn" ? Math.floor(rope.scaling.originalMaxPositions * rope.scaling.factor) : 0;
}
