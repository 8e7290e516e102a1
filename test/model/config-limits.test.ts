import { describe, expect, it } from "vitest";
import { UserError } from "../../src/errors.ts";
import { describeModel } from "../../src/model/architectures/index.ts";
import { DecoderSpec } from "../../src/model/decoder-spec.ts";
import { TINY_CONFIG } from "./checkpoint-fixture.ts";

type Config = Record<string, unknown>;

const LLAMA3 = {
  ...{ rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
  original_max_position_embeddings: 16,
};
const YARN = { rope_type: "yarn", factor: 2, original_max_position_embeddings: 16 };
const GRANITE = { model_type: "granite", architectures: ["GraniteForCausalLM"] };
const GEMMA = {
  ...{ model_type: "gemma3_text", architectures: ["Gemma3ForCausalLM"], head_dim: 2 },
  ...{ hidden_activation: "gelu_pytorch_tanh", query_pre_attn_scalar: 2 },
};
const NEOX = { model_type: "gpt_neox", architectures: ["GPTNeoXForCausalLM"], layer_norm_eps: 1e-5, rotary_pct: 1 };

/** Every number of a config that is computed with: its name, and a config that holds `x` there. */
const NUMBERS: readonly [field: string, holding: (x: unknown) => Config][] = [
  ["rms_norm_eps", (x) => ({ rms_norm_eps: x })],
  ["layer_norm_eps", (x) => ({ ...NEOX, layer_norm_eps: x })],
  ["rope_theta", (x) => ({ rope_theta: x })],
  ["rotary_emb_base", (x) => ({ ...NEOX, rope_theta: undefined, rotary_emb_base: x })],
  ["rope_parameters.rope_theta", (x) => ({ rope_theta: undefined, rope_parameters: { rope_theta: x } })],
  ["rope_local_base_freq", (x) => ({ ...GEMMA, rope_local_base_freq: x })],
  ["query_pre_attn_scalar", (x) => ({ ...GEMMA, query_pre_attn_scalar: x })],
  ["rope_scaling.factor", (x) => ({ rope_scaling: { type: "linear", factor: x } })],
  ["rope_scaling.factor", (x) => ({ rope_scaling: { type: "dynamic", factor: x } })],
  ["rope_scaling.factor", (x) => ({ rope_scaling: { ...LLAMA3, factor: x } })],
  ["rope_scaling.factor", (x) => ({ rope_scaling: { ...YARN, factor: x } })],
  ["rope_scaling.attention_factor", (x) => ({ rope_scaling: { ...YARN, attention_factor: x } })],
  ["rope_scaling.beta_fast", (x) => ({ rope_scaling: { ...YARN, beta_fast: x } })],
  ["rope_scaling.mscale", (x) => ({ rope_scaling: { ...YARN, mscale: x, mscale_all_dim: 1 } })],
  ["embedding_multiplier", (x) => ({ ...GRANITE, embedding_multiplier: x })],
  ["attention_multiplier", (x) => ({ ...GRANITE, attention_multiplier: x })],
  ["residual_multiplier", (x) => ({ ...GRANITE, residual_multiplier: x })],
  ["logits_scaling", (x) => ({ ...GRANITE, logits_scaling: x })],
];

function refusal(change: Config): string {
  try {
    describeModel({ ...TINY_CONFIG, ...change }, "m");
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.message;
  }
  return "accepted";
}

describe("config-eps-infinite: a config's numbers have bounds, in which f32 is finite and not 0", () => {
  it.each(NUMBERS)("%s (%#)", (field, holding) => {
    for (const x of [1e308, 1e39, 1e-39, 5e-324, -1, Number.POSITIVE_INFINITY, Number.NaN]) {
      expect(refusal(holding(x))).toMatch(new RegExp(`^m/config.json: ${field}: expected a number from 1.18e-38 to `));
    }
    expect(refusal(holding(3))).toBe("accepted");
  });

  it("a spec that a config gives is one that a manifest may hold, at the bounds too", () => {
    for (const [, holding] of NUMBERS) {
      for (const x of [2 ** -126, 2 ** 126]) {
        const config = { ...TINY_CONFIG, ...holding(x) };
        if (refusal(config) !== "accepted") continue;
        const { spec } = describeModel(config, "m");
        expect(DecoderSpec.parse(JSON.parse(JSON.stringify(spec)))).toEqual(spec);
      }
    }
  });

  it.each<[string, Config]>([
    ["vocab_size × hidden_size", { vocab_size: 2 ** 28, hidden_size: 2 ** 16 }],
    ["intermediate_size × hidden_size", { intermediate_size: 2 ** 28, hidden_size: 2 ** 12 }],
    [
      "num_attention_heads × head_dim × hidden_size",
      { num_attention_heads: 4096, num_key_value_heads: 1, head_dim: 2 ** 16, hidden_size: 2 ** 12 },
    ],
  ])("sizes that multiply beyond any file: %s", (_, change) => {
    expect(refusal(change)).toMatch(/^m\/config.json: expected matrices of at most 2\^36 elements, found /);
  });

  it.each<[string, Config]>([
    ["hidden_size", { hidden_size: 2 ** 28 + 4 }],
    ["hidden_size", { hidden_size: 2 ** 20 }],
    ["head_dim", { head_dim: 2 ** 20 }],
    ["max_position_embeddings", { max_position_embeddings: 1e300 }],
    ["rope_scaling.factor", { rope_scaling: { ...YARN, factor: 1e30 } }],
    ["rope_theta", { rope_theta: 1, rope_scaling: YARN }],
  ])("%s of %j", (field, change) => {
    expect(refusal(change)).toContain(`m/config.json: ${field}: expected `);
  });

  it("longrope from one position, by whose logarithm it would divide", () => {
    const rope = { type: "longrope", short_factor: [1], long_factor: [1], original_max_position_embeddings: 1 };
    expect(refusal({ rope_scaling: rope })).toContain(
      "original_max_position_embeddings: expected an integer from 2 up",
    );
  });

  it("row ranges of a fused tensor are made once for all blocks: heads × blocks of a lying config are many", () => {
    const { sources } = describeModel({ ...TINY_CONFIG, ...NEOX, hidden_act: "gelu" }, "m");
    const ranges = ["q", "k", "v"].map((role) => [0, 1].map((i) => sources.get(`blocks.${i}.attn.${role}`)?.rowRanges));
    for (const [first, second] of ranges) {
      expect(first).toHaveLength(TINY_CONFIG.num_attention_heads);
      expect(second).toBe(first);
    }
  });
});
