// A checkpoint of one block of TinyLlama-1.1B's shape with random weights: what a larger model's block takes, measured.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

const TOKENIZER = "test/fixtures/tokenizers/mistral03/tokenizer.json.gz";

/** TinyLlama-1.1B as published, but for the vocabulary: that of the tokenizer at hand (Mistral 0.3). */
export const SHAPE = {
  name: "TinyLlama-1.1B",
  blocks: 22,
  config: {
    ...{ architectures: ["LlamaForCausalLM"], model_type: "llama", hidden_act: "silu", rms_norm_eps: 1e-5 },
    ...{ hidden_size: 2048, intermediate_size: 5632, num_attention_heads: 32, num_key_value_heads: 4 },
    ...{ max_position_embeddings: 2048, rope_theta: 10000, tie_word_embeddings: false, vocab_size: 32768 },
    ...{ bos_token_id: 1, eos_token_id: 2, torch_dtype: "bfloat16" },
  },
};

/** Writes it, with `blocks` blocks, into a folder. */
export async function writeShape(folder, blocks = 1) {
  const { layoutSafetensors, writeSafetensors } = await import("../../dist/formats/safetensors/index.js");
  const { f32ToBf16 } = await import("../../dist/tensor/half.js");
  const { Random } = await import("../../dist/tensor/random.js");
  const { hidden_size: hidden, intermediate_size: ffn, vocab_size: vocab } = SHAPE.config;
  const kv = (hidden / SHAPE.config.num_attention_heads) * SHAPE.config.num_key_value_heads;
  const random = new Random(0);
  const tensor = (name, shape, value) => {
    const bits = new Uint16Array(shape.reduce((a, b) => a * b, 1));
    for (let i = 0; i < bits.length; i++) bits[i] = f32ToBf16(value());
    return { name, dtype: "BF16", shape, bytes: new Uint8Array(bits.buffer) };
  };
  // Uniform, of the deviation that keeps the residual stream's size: what the times depend on is the shape alone.
  const matrix = (name, rows, cols) => tensor(name, [rows, cols], () => (random.next() - 0.5) * Math.sqrt(12 / cols));
  const norm = (name) => tensor(name, [hidden], () => 1);
  const block = (i) => {
    const at = `model.layers.${i}`;
    return [
      norm(`${at}.input_layernorm.weight`),
      matrix(`${at}.self_attn.q_proj.weight`, hidden, hidden),
      matrix(`${at}.self_attn.k_proj.weight`, kv, hidden),
      matrix(`${at}.self_attn.v_proj.weight`, kv, hidden),
      matrix(`${at}.self_attn.o_proj.weight`, hidden, hidden),
      norm(`${at}.post_attention_layernorm.weight`),
      matrix(`${at}.mlp.gate_proj.weight`, ffn, hidden),
      matrix(`${at}.mlp.up_proj.weight`, ffn, hidden),
      matrix(`${at}.mlp.down_proj.weight`, hidden, ffn),
    ];
  };
  const tensors = [
    matrix("model.embed_tokens.weight", vocab, hidden),
    ...Array.from({ length: blocks }, (_, i) => block(i)).flat(),
    norm("model.norm.weight"),
    matrix("lm_head.weight", vocab, hidden),
  ];
  mkdirSync(folder, { recursive: true });
  await writeSafetensors(`${folder}/model.safetensors`, layoutSafetensors(tensors), tensors);
  writeFileSync(`${folder}/config.json`, JSON.stringify({ ...SHAPE.config, num_hidden_layers: blocks }, null, 2));
  writeFileSync(`${folder}/tokenizer.json`, gunzipSync(readFileSync(TOKENIZER)));
}
