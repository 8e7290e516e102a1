import { describe, expect, it } from "vitest";
import { describeModel, unknownConfigFields } from "../../src/model/architectures/index.ts";

/** Fields that say nothing of the model's maths, as hub configs carry them. */
const house = { attention_dropout: 0, initializer_range: 0.02, torch_dtype: "bfloat16", use_cache: true };
const times = <T>(count: number, value: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => value(i));

/** Fields as the hub models of these families state them, and what they mean. */
const CONFIGS: readonly [name: string, config: Record<string, unknown>, expected: Record<string, unknown>][] = [
  [
    "gemma-3-270m",
    {
      ...house,
      ...{ _sliding_window_pattern: 6, architectures: ["Gemma3ForCausalLM"], attention_bias: false },
      ...{ attn_logit_softcapping: null, bos_token_id: 2, eos_token_id: 1, final_logit_softcapping: null },
      ...{ head_dim: 256, hidden_activation: "gelu_pytorch_tanh", hidden_size: 640, intermediate_size: 2048 },
      layer_types: times(18, (i) => (i % 6 === 5 ? "full_attention" : "sliding_attention")),
      ...{ max_position_embeddings: 32768, model_type: "gemma3_text", num_attention_heads: 4, num_hidden_layers: 18 },
      ...{ num_key_value_heads: 1, pad_token_id: 0, query_pre_attn_scalar: 256, rms_norm_eps: 1e-6 },
      ...{ rope_local_base_freq: 10000, rope_scaling: null, rope_theta: 1000000, sliding_window: 512 },
      ...{ transformers_version: "4.55.0.dev0", use_bidirectional_attention: false, vocab_size: 262144 },
    },
    { tied: true, embeddingScale: Math.sqrt(640), eosTokens: [1] },
  ],
  [
    "gemma-3-1b-it",
    {
      ...house,
      ...{ architectures: ["Gemma3ForCausalLM"], attention_bias: false, attn_logit_softcapping: null },
      ...{ bos_token_id: 2, cache_implementation: "hybrid", eos_token_id: [1, 106], final_logit_softcapping: null },
      ...{ head_dim: 256, hidden_activation: "gelu_pytorch_tanh", hidden_size: 1152, intermediate_size: 6912 },
      ...{ max_position_embeddings: 32768, model_type: "gemma3_text", num_attention_heads: 4, num_hidden_layers: 26 },
      ...{ num_key_value_heads: 1, pad_token_id: 0, query_pre_attn_scalar: 256, rms_norm_eps: 1e-6 },
      ...{ rope_local_base_freq: 10000, rope_scaling: null, rope_theta: 1000000, sliding_window: 512 },
      ...{ sliding_window_pattern: 6, transformers_version: "4.50.0.dev0", vocab_size: 262144 },
    },
    { tied: true, hiddenSize: 1152, eosTokens: [1, 106] },
  ],
  [
    "OLMo-2-0425-1B",
    {
      ...house,
      ...{ architectures: ["Olmo2ForCausalLM"], attention_bias: false, eos_token_id: 100257, hidden_act: "silu" },
      ...{ hidden_size: 2048, intermediate_size: 8192, max_position_embeddings: 4096, model_type: "olmo2" },
      ...{ num_attention_heads: 16, num_hidden_layers: 16, num_key_value_heads: 16, pad_token_id: 100277 },
      ...{ rms_norm_eps: 1e-6, rope_scaling: null, rope_theta: 500000, tie_word_embeddings: false },
      ...{ transformers_version: "4.47.0", vocab_size: 100352 },
    },
    { tied: false, bosToken: null, eosTokens: [100257] },
  ],
  [
    "SmolLM3-3B",
    {
      ...house,
      ...{ architectures: ["SmolLM3ForCausalLM"], attention_bias: false, bos_token_id: null, eos_token_id: 128012 },
      ...{ hidden_act: "silu", hidden_size: 2048, intermediate_size: 11008 },
      ...{ layer_types: times(36, () => "full_attention"), max_position_embeddings: 65536, max_window_layers: 28 },
      ...{ mlp_bias: false, model_type: "smollm3", no_rope_layer_interval: 4 },
      no_rope_layers: times(36, (i) => (i % 4 === 3 ? 0 : 1)),
      ...{ num_attention_heads: 16, num_hidden_layers: 36, num_key_value_heads: 4, pad_token_id: 128004 },
      ...{ pretraining_tp: 2, rms_norm_eps: 1e-6, rope_scaling: null, rope_theta: 5000000, sliding_window: null },
      ...{ transformers_version: "4.54.0.dev0", use_sliding_window: false, vocab_size: 128256 },
    },
    { tied: true, eosTokens: [128012] },
  ],
  [
    "granite-3.3-2b-instruct",
    {
      ...house,
      ...{ architectures: ["GraniteForCausalLM"], attention_bias: false, attention_multiplier: 0.015625 },
      ...{ bos_token_id: 0, embedding_multiplier: 12, eos_token_id: 0, hidden_act: "silu", hidden_size: 2048 },
      ...{ intermediate_size: 8192, logits_scaling: 8, max_position_embeddings: 131072, mlp_bias: false },
      ...{ model_type: "granite", num_attention_heads: 32, num_hidden_layers: 40, num_key_value_heads: 8 },
      ...{ pad_token_id: 0, residual_multiplier: 0.22, rms_norm_eps: 1e-5, rope_scaling: null, rope_theta: 10000000 },
      ...{ tie_word_embeddings: true, transformers_version: "4.49.0", vocab_size: 49159 },
    },
    { tied: true, embeddingScale: 12, logitFactor: 1 / 8 },
  ],
  [
    "starcoder2-3b",
    {
      ...house,
      ...{ architectures: ["Starcoder2ForCausalLM"], attention_dropout: 0.1, bos_token_id: 0, embedding_dropout: 0.1 },
      ...{ eos_token_id: 0, hidden_act: "gelu_pytorch_tanh", hidden_size: 3072, intermediate_size: 12288 },
      ...{ max_position_embeddings: 16384, mlp_type: "default", model_type: "starcoder2", norm_epsilon: 1e-5 },
      ...{ norm_type: "layer_norm", num_attention_heads: 24, num_hidden_layers: 30, num_key_value_heads: 2 },
      ...{ residual_dropout: 0.1, rope_theta: 999999.4420358813, sliding_window: 4096 },
      ...{ transformers_version: "4.37.0.dev0", use_bias: true, vocab_size: 49152 },
    },
    { tied: true, bosToken: 0, eosTokens: [0] },
  ],
  [
    "Qwen2.5-7B-Instruct with the YaRN of its card",
    {
      ...house,
      ...{ architectures: ["Qwen2ForCausalLM"], bos_token_id: 151643, eos_token_id: 151645, hidden_act: "silu" },
      ...{ hidden_size: 3584, intermediate_size: 18944, max_position_embeddings: 32768, max_window_layers: 28 },
      ...{ model_type: "qwen2", num_attention_heads: 28, num_hidden_layers: 28, num_key_value_heads: 4 },
      ...{ rms_norm_eps: 1e-6, rope_theta: 1000000, sliding_window: 131072, tie_word_embeddings: false },
      rope_scaling: { factor: 4, original_max_position_embeddings: 32768, type: "yarn" },
      ...{ transformers_version: "4.43.1", use_sliding_window: false, vocab_size: 152064 },
    },
    { tied: false, maxPositions: 131072 },
  ],
  [
    "Yarn-Llama-2-7b-64k",
    {
      ...house,
      ...{ architectures: ["LlamaForCausalLM"], bos_token_id: 1, eos_token_id: 2, hidden_act: "silu" },
      ...{ auto_map: { AutoConfig: "configuration_llama.LlamaConfig" }, hidden_size: 4096, intermediate_size: 11008 },
      ...{ max_position_embeddings: 65536, model_type: "llama", num_attention_heads: 32, num_hidden_layers: 32 },
      ...{ num_key_value_heads: 32, pad_token_id: 0, pretraining_tp: 1, rms_norm_eps: 1e-5 },
      rope_scaling: { factor: 16, finetuned: true, original_max_position_embeddings: 4096, type: "yarn" },
      ...{ tie_word_embeddings: false, transformers_version: "4.31.0", vocab_size: 32000 },
    },
    { tied: false, maxPositions: 65536 },
  ],
  [
    "a Llama with dynamic scaling",
    {
      ...house,
      ...{ architectures: ["LlamaForCausalLM"], bos_token_id: 1, eos_token_id: 2, hidden_act: "silu" },
      ...{ hidden_size: 4096, intermediate_size: 11008, max_position_embeddings: 4096, model_type: "llama" },
      ...{ num_attention_heads: 32, num_hidden_layers: 32, num_key_value_heads: 32, rms_norm_eps: 1e-5 },
      ...{ rope_scaling: { factor: 2, type: "dynamic" }, rope_theta: 10000, vocab_size: 32000 },
    },
    { tied: false, maxPositions: 4096 },
  ],
];

describe("configs from the hub", () => {
  it.each(CONFIGS)("%s is read, and every field of it understood", (_, config, expected) => {
    const { spec } = describeModel(config, "hub");
    expect(spec).toMatchObject({ ...expected, hiddenSize: config.hidden_size, vocabSize: config.vocab_size });
    expect(spec.blocks).toHaveLength(Number(config.num_hidden_layers));
    expect(unknownConfigFields(config, "hub")).toEqual([]);
  });

  it("gemma-3 of both sizes has one block in six without a window, with the larger base", () => {
    for (const [, config] of CONFIGS.slice(0, 2)) {
      const { blocks } = describeModel(config, "hub").spec;
      blocks.forEach(({ attention }, i) => {
        const full = i % 6 === 5;
        expect([attention?.window, attention?.rope?.theta]).toEqual(full ? [null, 1e6] : [512, 1e4]);
      });
    }
  });
});
