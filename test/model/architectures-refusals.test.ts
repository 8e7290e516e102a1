import { describe, expect, it } from "vitest";
import { UserError } from "../../src/errors.ts";
import type { Family } from "../../src/model/architectures/family.ts";
import { ARCHITECTURES, describeModel, unknownConfigFields } from "../../src/model/architectures/index.ts";

type Config = Record<string, unknown>;

const sizes = {
  vocab_size: 256,
  hidden_size: 64,
  intermediate_size: 112,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  max_position_embeddings: 128,
};
const gated = { ...sizes, hidden_act: "silu", rms_norm_eps: 1e-6, num_key_value_heads: 2 };

/** The least config of each family; a family without one here fails the first test. */
const CONFIGS: Record<string, Config> = {
  llama: { ...gated, model_type: "llama" },
  mistral: { ...gated, model_type: "mistral" },
  qwen2: { ...gated, model_type: "qwen2" },
  qwen3: { ...gated, model_type: "qwen3", head_dim: 24 },
  phi3: { ...gated, model_type: "phi3" },
  gpt_neox: { ...sizes, model_type: "gpt_neox", hidden_act: "gelu", layer_norm_eps: 1e-5 },
  phi: { ...sizes, model_type: "phi", hidden_act: "gelu_new", layer_norm_eps: 1e-5 },
  gemma3_text: {
    ...{ ...sizes, model_type: "gemma3_text", hidden_activation: "gelu_pytorch_tanh", rms_norm_eps: 1e-6 },
    ...{ num_key_value_heads: 2, head_dim: 24, query_pre_attn_scalar: 24 },
  },
  olmo2: { ...gated, model_type: "olmo2" },
  smollm3: { ...gated, model_type: "smollm3" },
  granite: { ...gated, model_type: "granite" },
  starcoder2: { ...sizes, model_type: "starcoder2", hidden_act: "gelu_pytorch_tanh", norm_epsilon: 1e-5 },
};

/** Families whose output head is the embedding where the config says nothing. */
const TIED: ReadonlySet<string> = new Set(["gemma3_text", "smollm3", "starcoder2"]);

/** Whether a family reads a field that the others refuse. */
const readsField = (type: string, key: string): boolean =>
  Object.entries<Family>(ARCHITECTURES).some(([name, { reads }]) => name === type && (reads?.includes(key) ?? false));

/** The UserError for a config, or fails. */
function refusal(config: unknown): UserError {
  try {
    describeModel(config, "some/model");
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error("the config was accepted");
}

const llamaWith = (change: Config): string => refusal({ ...CONFIGS.llama, ...change }).message;
const windows = (config: Config) => describeModel(config, "m").spec.blocks.map((b) => b.attention?.window);

describe("every family", () => {
  it("has a least config here", () => {
    expect(Object.keys(CONFIGS).sort()).toEqual(Object.keys(ARCHITECTURES).sort());
  });

  describe.each(Object.entries(CONFIGS))("%s", (type, config) => {
    it("reads its least config", () => {
      expect(describeModel(config, "m").spec).toMatchObject({
        hiddenSize: 64,
        tied: TIED.has(type),
        eosTokens: [],
        bosToken: null,
      });
    });

    it.each(Object.keys(config).filter((key) => key !== "num_key_value_heads"))(
      "names %s where it is missing",
      (key) => {
        const { [key]: _left, ...rest } = config;
        expect(refusal(rest).message).toMatch(
          new RegExp(`^some/model/config.json: ${key}: expected .*, found nothing$`),
        );
      },
    );

    const foreign: [string, unknown][] = [
      ["quantization_config", { quant_method: "gptq" }],
      ["num_local_experts", 8],
      ["num_experts", 64],
      ["clip_qkv", 8],
      ["alibi", true],
      ["attn_logit_softcapping", 50],
      ["final_logit_softcapping", 30],
      ["qk_layernorm", true],
      ["pretraining_tp", 2],
      ["embedding_multiplier", 12],
      ["residual_multiplier", 0.22],
      ["attention_multiplier", 0.0078125],
      ["logits_scaling", 8],
      ["query_pre_attn_scalar", 256],
      ["no_rope_layers", [1, 1, 1, 0]],
      ["vision_config", { depth: 3 }],
    ];
    it.each(foreign.filter(([key]) => !readsField(type, key)))("refuses %s by name", (key, value) => {
      const error = refusal({ ...config, [key]: value });
      expect(error.message).toContain(`some/model/config.json: ${key}: expected `);
      expect(error.message).toContain(`found ${JSON.stringify(value)}`);
      expect(error.message).not.toContain("\n");
      expect(error.hint).toBeTruthy();
    });

    it.each(["ntk", "proportional", "yarn2"])("refuses rope scaling %s by name", (type) => {
      expect(refusal({ ...config, rope_scaling: { type, factor: 2 } }).message).toContain(
        "rope_scaling.type: expected",
      );
      const v5 = { rope_theta: 10000, rope_type: type, factor: 2 };
      expect(refusal({ ...config, rope_parameters: v5 }).message).toContain("rope_parameters.rope_type: expected");
    });

    it("accepts the values at which such fields change nothing", () => {
      const neutral = { pretraining_tp: 1, embedding_multiplier: 1, alibi: false, clip_qkv: null, pruned_heads: {} };
      expect(describeModel({ ...config, ...neutral }, "m")).toEqual(describeModel(config, "m"));
    });

    it("accepts fields it does not know and lists them", () => {
      const extended = { ...config, use_cache: true, house_style: "blue" };
      expect(describeModel(extended, "m")).toEqual(describeModel(config, "m"));
      expect(unknownConfigFields(extended, "m")).toEqual(["house_style"]);
    });

    it("refuses a class without a language model's head", () => {
      expect(refusal({ ...config, architectures: ["LlamaForSequenceClassification"] }).message).toContain(
        "architectures",
      );
    });
  });
});

describe("impossible values", () => {
  it.each<[string, Config]>([
    ["num_key_value_heads", { num_key_value_heads: 3 }],
    ["hidden_size", { hidden_size: 66 }],
    ["hidden_size", { hidden_size: -64 }],
    ["hidden_size", { hidden_size: "64" }],
    ["hidden_size", { hidden_size: 64.5 }],
    ["num_hidden_layers", { num_hidden_layers: 0 }],
    ["num_hidden_layers", { num_hidden_layers: 1e9 }],
    ["num_hidden_layers", { num_hidden_layers: 100_000 }],
    ["num_attention_heads", { num_attention_heads: 2 ** 20, head_dim: 2, num_key_value_heads: 1 }],
    ["head_dim", { head_dim: 0 }],
    ["head_dim", { head_dim: [16] }],
    ["rms_norm_eps", { rms_norm_eps: -1 }],
    ["rope_theta", { rope_theta: "10000" }],
    ["rope_scaling", { rope_scaling: "linear" }],
    ["rope_scaling.factor", { rope_scaling: { type: "linear", factor: 0 } }],
    ["rope_scaling.type", { rope_scaling: { type: "linear", rope_type: "llama3", factor: 2 } }],
    ["rope_theta", { rope_theta: 10000, rope_parameters: { rope_theta: 5000, rope_type: "default" } }],
    ["rope_scaling", { rope_scaling: { type: "linear", factor: 2 }, rope_parameters: { rope_type: "default" } }],
    ["rope_parameters.mrope_section", { rope_parameters: { rope_theta: 1e4, mrope_section: [2, 3, 3] } }],
    ["partial_rotary_factor", { partial_rotary_factor: 0.5 }],
    ["hidden_act", { hidden_act: "quick_gelu" }],
    ["hidden_act", { hidden_act: "__proto__" }],
    ["eos_token_id", { eos_token_id: [2, 256] }],
    ["bos_token_id", { bos_token_id: -1 }],
    ["tie_word_embeddings", { tie_word_embeddings: "yes" }],
    ["attention_bias", { attention_bias: 1 }],
    ["layer_types", { layer_types: ["full_attention"] }],
    ["layer_types", { layer_types: ["full_attention", "full_attention", "full_attention", "linear_attention"] }],
    ["layer_types", { layer_types: ["full_attention", "full_attention", "full_attention", "sliding_attention"] }],
    ["model_type", { model_type: "mixtral" }],
    ["model_type", { model_type: "constructor" }],
    ["model_type", { model_type: null }],
  ])("%s is named for %j", (field, change) => {
    expect(llamaWith(change)).toContain(`some/model/config.json: ${field}: expected `);
  });

  it.each([null, [], "llama", 7])("a config that is %j is refused", (config) => {
    expect(refusal(config).message).toContain("expected a JSON object");
  });

  it("llama3 scaling needs its factors in order", () => {
    const scaling = { rope_type: "llama3", factor: 8, low_freq_factor: 4, high_freq_factor: 4 };
    expect(llamaWith({ rope_scaling: { ...scaling, original_max_position_embeddings: 64 } })).toContain(
      "high_freq_factor",
    );
  });
});

describe("longrope", () => {
  const rope = { type: "longrope", short_factor: new Array(8).fill(1), long_factor: new Array(8).fill(2) };
  const longrope = { ...CONFIGS.phi3, original_max_position_embeddings: 32, rope_scaling: rope };
  const scalingOf = (config: Config) => describeModel(config, "m").spec.blocks[0].attention?.rope?.scaling;

  it("takes su as an older name, and an attention factor that is given", () => {
    expect(scalingOf({ ...longrope, rope_scaling: { ...rope, type: "su" } })).toEqual(scalingOf(longrope));
    expect(scalingOf({ ...longrope, rope_scaling: { ...rope, attention_factor: 1.5 } })).toMatchObject({
      attentionFactor: 1.5,
    });
    expect(scalingOf({ ...longrope, original_max_position_embeddings: 128 })).toMatchObject({ attentionFactor: 1 });
  });

  it("refuses lists of the wrong length, a missing original length and a factor that disagrees", () => {
    const short = { ...longrope, rope_scaling: { ...rope, short_factor: [1, 1] } };
    expect(refusal(short).message).toContain("rope_scaling.short_factor: expected 8 numbers");
    const negative = { ...longrope, rope_scaling: { ...rope, long_factor: new Array(8).fill(-1) } };
    expect(refusal(negative).message).toContain("rope_scaling.long_factor");
    expect(refusal({ ...longrope, original_max_position_embeddings: null }).message).toContain("original_max_position");
    expect(refusal({ ...longrope, rope_scaling: { ...rope, factor: 3 } }).message).toContain("rope_scaling.factor");
  });

  it("sizes the lists by the rotated part of the head", () => {
    const partial = { ...longrope, partial_rotary_factor: 0.75 };
    expect(refusal(partial).message).toContain("expected 6 numbers");
  });
});

describe("windows", () => {
  it("mistral: null means none, a missing key transformers' default", () => {
    expect(windows({ ...CONFIGS.mistral, sliding_window: null })).toEqual([null, null, null, null]);
    expect(windows(CONFIGS.mistral)).toEqual([4096, 4096, 4096, 4096]);
  });

  it("qwen2: from max_window_layers on where it is in use", () => {
    const used = { ...CONFIGS.qwen2, use_sliding_window: true, sliding_window: 8, max_window_layers: 3 };
    expect(windows(used)).toEqual([null, null, null, 8]);
    expect(windows({ ...used, max_window_layers: 0 })).toEqual([8, 8, 8, 8]);
    expect(windows({ ...used, use_sliding_window: false })).toEqual([null, null, null, null]);
  });

  it("families without a window let sliding_window be, as transformers does, and inspect lists it", () => {
    for (const type of ["llama", "gpt_neox", "phi", "olmo2", "granite"]) {
      const config = { ...CONFIGS[type], sliding_window: 8, use_sliding_window: true, max_window_layers: 2 };
      expect(windows(config)).toEqual([null, null, null, null]);
      expect(unknownConfigFields(config, "m")).toEqual(["sliding_window"]);
      expect(unknownConfigFields({ ...config, sliding_window: null }, "m")).toEqual([]);
    }
  });

  it("smollm3: blocks that rotate have none but by layer_types", () => {
    const used = { ...CONFIGS.smollm3, use_sliding_window: true, sliding_window: 8 };
    expect(windows(used)).toEqual([null, null, null, 8]);
    expect(windows({ ...used, no_rope_layers: [0, 1, 0, 1] })).toEqual([8, null, 8, null]);
    const types = ["sliding_attention", "full_attention", "full_attention", "full_attention"];
    expect(windows({ ...used, layer_types: types })).toEqual([8, null, null, null]);
    expect(windows({ ...used, use_sliding_window: false })).toEqual([null, null, null, null]);
  });

  it("layer_types decides where it is present", () => {
    const types = ["sliding_attention", "full_attention", "full_attention", "sliding_attention"];
    const used = { ...CONFIGS.qwen3, use_sliding_window: true, sliding_window: 8, layer_types: types };
    expect(windows(used)).toEqual([8, null, null, 8]);
    expect(refusal({ ...used, use_sliding_window: false }).message).toContain(
      "layer_types: expected no sliding_attention",
    );
  });
});

describe("what the families of more words refuse", () => {
  const { gemma3_text: gemma, smollm3, granite, starcoder2 } = CONFIGS;
  it.each<[string, Config, Config]>([
    ["hidden_activation", gemma, { hidden_activation: "quick_gelu" }],
    ["query_pre_attn_scalar", gemma, { query_pre_attn_scalar: 0 }],
    ["use_bidirectional_attention", gemma, { use_bidirectional_attention: true }],
    ["sliding_window_pattern", gemma, { sliding_window_pattern: "6" }],
    ["rope_local_base_freq", gemma, { rope_local_base_freq: -1 }],
    ["rope_parameters", gemma, { rope_parameters: { full_attention: { rope_theta: 1e6, rope_type: "default" } } }],
    [
      "rope_parameters.sliding_attention.rope_type",
      gemma,
      {
        rope_parameters: {
          full_attention: { rope_theta: 1e6, rope_type: "default" },
          sliding_attention: { rope_theta: 1e4, rope_type: "ntk" },
        },
      },
    ],
    ["num_experts_per_tok", granite, { num_experts_per_tok: 8 }],
    ["residual_multiplier", granite, { residual_multiplier: 0 }],
    ["logits_scaling", granite, { logits_scaling: "8" }],
    ["model_type", granite, { model_type: "granitemoe" }],
    ["model_type", granite, { model_type: "granitemoehybrid" }],
    ["no_rope_layers", smollm3, { no_rope_layers: [1, 1, 0] }],
    ["no_rope_layers", smollm3, { no_rope_layers: [1, 1, 0, 2] }],
    ["no_rope_layer_interval", smollm3, { no_rope_layer_interval: 0 }],
    ["norm_type", starcoder2, { norm_type: "rms_norm" }],
    ["mlp_type", starcoder2, { mlp_type: "gated" }],
    ["use_bias", starcoder2, { use_bias: "yes" }],
  ])("%s", (field, config, change) => {
    const { message } = refusal({ ...config, ...change });
    expect(message).toContain(`some/model/config.json: ${field}: expected `);
  });

  it("a model of images and text, naming the text part that it has", () => {
    const both = { model_type: "gemma3", architectures: ["Gemma3ForConditionalGeneration"], text_config: gemma };
    const error = refusal({ ...both, vision_config: { model_type: "siglip_vision_model" } });
    expect(error.message).toContain("model_type: expected one of llama, ");
    expect(error.hint).toContain('"gemma3_text"');
  });
});
