import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { UserError } from "../../../src/errors.ts";
import { layoutSafetensors, openSafetensors, writeSafetensors } from "../../../src/formats/safetensors/index.ts";
import { openCheckpoint } from "../../../src/model/checkpoint.ts";
import type { DecoderSpec } from "../../../src/model/decoder-spec.ts";
import { readPeftAdapter } from "../../../src/model/peft/read.ts";
import { writePeftAdapter } from "../../../src/model/peft/write.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { randomParts } from "../../support/adapters.ts";
import { ARCHITECTURES } from "../../support/fixtures.ts";

const folder = path.join(temporaryFolder(), "adapter");
const CONFIG = path.join(folder, "adapter_config.json");
const WEIGHTS = path.join(folder, "adapter_model.safetensors");
let spec: DecoderSpec;

beforeEach(async () => {
  rmSync(folder, { recursive: true, force: true });
  spec = await specOf("llama-gqa");
  await writePeftAdapter(folder, spec, randomParts(spec, { has: (block) => block < 2 }), { base: "somebody/model" });
});

async function specOf(name: string): Promise<DecoderSpec> {
  const checkpoint = await openCheckpoint(path.join(ARCHITECTURES, name));
  await checkpoint.close();
  return checkpoint.spec;
}

/** What reading says: a UserError's message of one line, without the folder. */
async function refusal(of: DecoderSpec = spec): Promise<string> {
  const error = await readPeftAdapter(folder, of).catch((reason: unknown) => reason);
  if (!(error instanceof UserError)) throw new Error(`expected a UserError, found ${String(error)}`);
  expect(error.message).not.toContain("\n");
  return error.message.replaceAll(folder, "F");
}

function changeConfig(change: object): void {
  writeFileSync(CONFIG, JSON.stringify({ ...JSON.parse(readFileSync(CONFIG, "utf8")), ...change }));
}

/** Writes the weights anew with tensors renamed, or left out where the name is null. */
async function rename(change: (name: string) => string | null): Promise<void> {
  const file = await openSafetensors(WEIGHTS);
  const kept: { name: string; dtype: "F32"; shape: readonly number[]; bytes: Uint8Array }[] = [];
  for (const [name, { shape }] of file.tensors) {
    const to = change(name);
    if (to !== null) kept.push({ name: to, dtype: "F32", shape, bytes: await file.readBytes(name) });
  }
  await file.close();
  await writeSafetensors(WEIGHTS, layoutSafetensors(kept), kept);
}

const Q = "base_model.model.model.layers.0.self_attn.q_proj";

describe("an adapter's config", () => {
  const unsupported: readonly (readonly [object, RegExp])[] = [
    [{ peft_type: "LOHA" }, /peft_type: expected "LORA", found "LOHA" \(not supported\)$/],
    [{ use_dora: true }, /use_dora: expected none, found true \(not supported\)$/],
    [{ lora_bias: true }, /lora_bias: expected none, found true/],
    [{ bias: "all" }, /bias: expected "none", found "all"/],
    [{ modules_to_save: ["lm_head"] }, /modules_to_save: expected none, found \["lm_head"\]/],
    [{ init_lora_weights: "pissa" }, /init_lora_weights: expected true, .* found "pissa"/],
    [{ layer_replication: [[0, 1]] }, /layer_replication: expected none/],
    [{ trainable_token_indices: [3] }, /trainable_token_indices: expected none/],
    [{ task_type: "SEQ_CLS" }, /task_type: expected "CAUSAL_LM", "FEATURE_EXTRACTION", found "SEQ_CLS"/],
    [{ a_field_of_tomorrow: 2 }, /a_field_of_tomorrow: expected none, found 2/],
    [{ rank_pattern: { "(a+)+$": 2 } }, /rank_pattern: expected paths of modules, found the pattern/],
    [{ r: 0 }, /r: .*>0/],
    [{ r: "8" }, /r: .*expected number/],
    [{ lora_alpha: null }, /lora_alpha: .*expected number/],
    [{ peft_type: undefined }, /peft_type: expected "LORA", found none/],
  ];

  it.each(unsupported)("is refused by field: %o", async (change, message) => {
    changeConfig(change);
    expect(await refusal()).toMatch(message);
  });

  it("may have fields that mean nothing here, and others that are off", async () => {
    const off = { use_dora: false, lora_bias: null, modules_to_save: [], eva_config: { rho: 2 }, loftq_config: {} };
    changeConfig({ ...off, peft_version: "0.99", layers_to_transform: [1], corda_config: null, use_bdlora: {} });
    expect((await readPeftAdapter(folder, spec)).parts).toHaveLength(14);
  });

  it("is refused where it is damaged, absent or no JSON", async () => {
    writeFileSync(CONFIG, '{"peft_type": "LO');
    expect(await refusal()).toContain("F/adapter_config.json: expected JSON");
    rmSync(CONFIG);
    expect(await refusal()).toBe("F: expected a PEFT adapter, found no adapter_config.json in it");
  });
});

describe("an adapter's weights", () => {
  it("are refused of another base model: other sizes, more layers, other modules", async () => {
    expect(await refusal(await specOf("gemma3"))).toMatch(/expected shape \[.*\] by model and .*, found \[/);
    expect(await refusal(await specOf("neox-parallel"))).toMatch(/expected linear layers of the model's blocks, found/);
    expect(await refusal({ ...spec, blocks: spec.blocks.slice(0, 1) })).toContain(
      "expected linear layers of the model's blocks, found tensor \"base_model.model.model.layers.1.",
    );
    expect(await refusal({ ...spec, family: "bert" })).toContain("F: family: expected one of llama, mistral");
  });

  it("are refused where a block was cut to other sizes", async () => {
    const [first, ...rest] = spec.blocks;
    const mlp = first.mlp && { ...first.mlp, down: { ...first.mlp.down, cols: first.mlp.down.cols - 32 } };
    expect(await refusal({ ...spec, blocks: [{ ...first, mlp }, ...rest] })).toMatch(
      /layers\.0\.mlp\.down_proj\.lora_A\.weight": expected shape/,
    );
    expect(await refusal({ ...spec, blocks: [{ ...first, mlp: null }, ...rest] })).toMatch(/found tensor ".*\.mlp\./);
  });

  it("are refused of a rank that does not fit", async () => {
    changeConfig({ r: 4 });
    expect(await refusal()).toContain(
      `tensor "${Q}.lora_A.weight": expected shape [4, ${spec.hiddenSize}] by model and adapter_config.json, found [3, `,
    );
    changeConfig({ r: 3, rank_pattern: { "layers.1.self_attn.q_proj": 8 } });
    expect(await refusal()).toMatch(/layers\.1\.self_attn\.q_proj\.lora_A\.weight": expected shape \[8, /);
  });

  it("are refused without one of a pair, and with what is no addition to a block", async () => {
    await rename((name) => (name === `${Q}.lora_B.weight` ? null : name));
    expect(await refusal()).toContain(`expected tensor "${Q}.lora_B.weight", found none`);
    await rename((name) => (name.startsWith(`${Q}.`) ? "base_model.model.lm_head.lora_A.weight" : name));
    expect(await refusal()).toContain('found tensor "base_model.model.lm_head.lora_A.weight"');
    await rename((name) => name.replace("base_model.model.lm_head.lora_A", `${Q}.lora_magnitude_vector`));
    expect(await refusal()).toMatch(/expected tensors base_model\.model\.\*\.lora_A\.weight or lora_B\.weight, found/);
  });

  it("may be named as the bare decoder's", async () => {
    await rename((name) => name.replace("base_model.model.model.", "base_model.model."));
    expect((await readPeftAdapter(folder, spec)).parts).toHaveLength(14);
  });

  it("are refused with numbers that are not finite, cut short, absent, or as pickles", async () => {
    const whole = readFileSync(WEIGHTS);
    const bytes = Buffer.from(whole);
    bytes.writeFloatLE(Number.NaN, bytes.length - 4);
    bytes.writeFloatLE(Number.POSITIVE_INFINITY, bytes.length - 8);
    writeFileSync(WEIGHTS, bytes);
    expect(await refusal()).toMatch(/lora_B\.weight": expected finite values, found 2 NaN or infinite of \d+/);
    writeFileSync(WEIGHTS, whole.subarray(0, whole.length - 100));
    expect(await refusal()).toMatch(/not a valid safetensors file: expected \d+ bytes of data by its header, found/);
    renameSync(WEIGHTS, path.join(folder, "adapter_model.bin"));
    expect(await refusal()).toBe("F: expected adapter_model.safetensors, found adapter_model.bin");
    rmSync(path.join(folder, "adapter_model.bin"));
    expect(await refusal()).toMatch(/adapter_model\.safetensors: cannot read: no such file/);
    rmSync(folder, { recursive: true });
    expect(await refusal()).toMatch(/^F: cannot read: no such file or folder/);
  });
});
