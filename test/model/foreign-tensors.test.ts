import { describe, expect, test } from "vitest";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import {
  type MadeTensor,
  makeCheckpoint,
  openingError,
  TINY_CONFIG,
  tensorsWith,
  tinyTensors,
} from "./checkpoint-fixture.ts";

const root = temporaryFolder();
const q = "model.layers.0.self_attn.q_proj";

const bytes = (dtype: NonNullable<MadeTensor["dtype"]>, shape: number[], elementBytes: number): MadeTensor => ({
  ...{ dtype, shape, values: new Float32Array() },
  bytes: new Uint8Array(shape.reduce((product, n) => product * n, elementBytes)),
});
const floats = (...shape: number[]) => bytes("F32", shape, 4);

async function refusal(changes: Record<string, MadeTensor | null>, config = {}): Promise<string> {
  const folder = await makeCheckpoint(root, { ...TINY_CONFIG, ...config }, tensorsWith(changes));
  const { code, message } = await openingError(openCheckpoint(folder));
  return `${code} ${message}`;
}

describe("quantized-by-mlx: quantized weights are named so, though config.json says nothing of it", () => {
  test.each<[tool: string, weight: MadeTensor | null, beside: Record<string, MadeTensor>]>([
    ["MLX", bytes("U32", [8, 1], 4), { scales: floats(8, 1), biases: floats(8, 1) }],
    [
      "GPTQ or AWQ",
      null,
      { qweight: bytes("I32", [1, 8], 4), qzeros: bytes("I32", [1, 1], 4), scales: floats(1, 8), g_idx: floats(8) },
    ],
    ["bitsandbytes", bytes("U8", [32, 1], 1), { "weight.absmax": floats(1), "weight.quant_map": floats(16) }],
    ["bitsandbytes", bytes("I8", [8, 8], 1), { SCB: floats(8) }],
    ["compressed-tensors", null, { weight_packed: bytes("I32", [8, 1], 4), weight_shape: floats(2) }],
    ["FP8 or INT8 with scales", bytes("F8_E4M3", [8, 8], 1), { weight_scale: floats(1) }],
    ["FP8 or INT8 with scales", bytes("F8_E4M3", [8, 8], 1), { weight_scale_inv: floats(1, 1) }],
    ["FP8 or INT8 with scales", bytes("I8", [8, 8], 1), { weight_scale: floats(8, 1) }],
    ["FP8 or INT8 with scales", bytes("F8_E4M3", [8, 8], 1), { "weight.scale": floats(1) }],
    ["torchao", null, { _weight_qdata: bytes("I8", [8, 8], 1), _weight_scale: floats(8, 1) }],
    ["HQQ", null, { W_q: bytes("U8", [4, 8], 1) }],
    ["quanto", null, { "weight._data": bytes("I8", [8, 8], 1), "weight._scale": floats(8, 1) }],
  ])("%s", async (tool, weight, beside) => {
    const tensors = Object.fromEntries(Object.entries(beside).map(([name, tensor]) => [`${q}.${name}`, tensor]));
    const named = await refusal({ ...tensors, [`${q}.weight`]: weight });
    expect(named).toMatch(
      /^ALREADY_QUANTIZED .*: expected plain weights, found tensor ".*" of a quantized checkpoint \(/,
    );
    expect(named).toContain(`(${tool})`);
  });

  test("packed integers with nothing beside them, before their shape is looked at", async () => {
    expect(await refusal({ [`${q}.weight`]: bytes("U32", [8, 1], 4) })).toMatch(
      /^ALREADY_QUANTIZED .*expected floating-point weights, found U32$/,
    );
  });

  test.each(["quantization", "quantization_config", "compression_config"])("%s in config.json", async (key) => {
    expect(await refusal({}, { [key]: { bits: 4, group_size: 32 } })).toContain(
      `${key}: expected none, found a quantized checkpoint`,
    );
  });

  test("FP8 weights without scales are plain numbers", async () => {
    const tensors = tinyTensors();
    tensors.set(`${q}.weight`, bytes("F8_E4M3", [8, 8], 1));
    await (await openCheckpoint(await makeCheckpoint(root, TINY_CONFIG, tensors))).close();
  });
});

describe("unmerged adapters inside of a checkpoint are refused, not left out", () => {
  test.each([
    `${q}.lora_A.weight`,
    `${q}.lora_B.default.weight`,
    `base_model.model.${q}.lora_A.default.weight`,
    `${q}.lora_magnitude_vector`,
    "model.embed_tokens.lora_embedding_A",
    "lora_A.weight",
    `${q}.ia3_l`,
    `${q}.hada_w1_a`,
    `${q}.lokr_w1`,
    `${q}.oft_r`,
    "lm_head.modules_to_save.default.weight",
  ])("%s", async (name) => {
    expect(await refusal({ [name]: floats(4, 8) })).toMatch(
      /^ADAPTER .*: expected a whole model, found tensor ".*" of an adapter that was not merged$/,
    );
  });

  test("PEFT's wrapped weights", async () => {
    const moved = tinyTensors().get(`${q}.weight`);
    if (!moved) throw new Error("no such tensor");
    expect(await refusal({ [`${q}.base_layer.weight`]: moved, [`${q}.weight`]: null })).toMatch(/^ADAPTER /);
  });
});
