import type { ConfigReader } from "../config-reader.ts";

/** Fields that say that the weights are quantized already: there is no original to measure against. */
export const QUANTIZED_FIELDS = ["quantization_config", "compression_config", "quantization"];

/**
 * Fields that change the maths, each with the values at which they change nothing (null and absence always do). Any
 * other value is refused by name, but for the fields that a family says it reads.
 */
const UNSUPPORTED: Readonly<Record<string, readonly unknown[]>> = {
  ...Object.fromEntries(QUANTIZED_FIELDS.map((key) => [key, []])),
  // Experts.
  num_experts: [0],
  num_local_experts: [0],
  n_routed_experts: [0],
  moe_num_experts: [0],
  num_experts_per_tok: [0],
  mlp_only_layers: [[]],
  // Attention of another kind.
  alibi: [false],
  use_alibi: [false],
  clip_qkv: [],
  qk_layernorm: [false],
  qk_norm: [false],
  use_qk_norm: [false],
  attn_logit_softcapping: [],
  query_pre_attn_scalar: [],
  attn_temperature_tuning: [false],
  attention_chunk_size: [],
  is_causal: [true],
  use_bidirectional_attention: [false],
  q_lora_rank: [],
  kv_lora_rank: [],
  num_kv_shared_layers: [0],
  pruned_heads: [{}],
  // Positions of another kind.
  rope_interleave: [false],
  rope_interleaved: [false],
  rotary_interleaved: [false],
  no_rope_layers: [[]],
  no_rope_layer_interval: [],
  // Extra factors on activations (Granite, Cohere, Gemma, MiniCPM, Falcon-H1).
  embedding_multiplier: [1],
  residual_multiplier: [1],
  attention_multiplier: [],
  logits_scaling: [1],
  logit_scale: [1],
  lm_head_multiplier: [1],
  final_logit_softcapping: [],
  scale_emb: [1],
  scale_depth: [],
  dim_model_base: [],
  // Slices the products and so changes their rounding.
  pretraining_tp: [0, 1],
  // Not a text decoder alone.
  is_encoder_decoder: [false],
  add_cross_attention: [false],
  text_config: [],
  vision_config: [],
  audio_config: [],
};

/** Fields that are known and say nothing about the forward pass of an evaluation. */
const IGNORABLE: ReadonlySet<string> = new Set([
  "_name_or_path",
  "architectures",
  "attention_dropout",
  "attn_implementation",
  "_attn_implementation",
  "auto_map",
  "bad_words_ids",
  "cache_implementation",
  "chunk_size_feed_forward",
  "classifier_dropout",
  "dtype",
  "embd_pdrop",
  "embedding_dropout",
  "finetuning_task",
  "gradient_checkpointing",
  "hidden_dropout",
  "id2label",
  "initializer_range",
  "is_decoder",
  "label2id",
  // Read in window-fields.ts by the families that have them.
  "max_window_layers",
  "use_sliding_window",
  "model_type",
  // Read in rope-fields.ts where the rotary embedding is scaled.
  "original_max_position_embeddings",
  "output_attentions",
  "output_hidden_states",
  "pad_token_id",
  "problem_type",
  "resid_pdrop",
  "residual_dropout",
  "return_dict",
  "sep_token_id",
  "tokenizer_class",
  "torch_dtype",
  "transformers_version",
  "unk_token_id",
  "use_cache",
]);

/** Refuses, by name, every field but the family's own that would change the maths in a way that is not implemented. */
export function refuseUnsupported(config: ConfigReader, reads: readonly string[] = []): void {
  for (const [key, neutral] of Object.entries(UNSUPPORTED)) {
    if (reads.includes(key)) continue;
    const value = config.raw(key);
    if (value === undefined || neutral.some((x) => JSON.stringify(x) === JSON.stringify(value))) continue;
    const expected = neutral.length > 0 ? JSON.stringify(neutral.at(-1)) : "none";
    config.refuse(key, `${expected} (not supported)`, hintFor(key));
  }
}

function hintFor(key: string): string {
  if (QUANTIZED_FIELDS.includes(key)) {
    return "This checkpoint is already quantized; start from the original weights.";
  }
  return "docs/adding-an-architecture.md lists what each family supports.";
}

/** Fields with a value that nothing has asked for and that are not known to be harmless, sorted. */
export function unknownFields(config: ConfigReader): string[] {
  const isUnknown = (key: string) => !config.asked.has(key) && !IGNORABLE.has(key) && config.raw(key) !== undefined;
  return config.keys.filter(isUnknown).sort();
}
