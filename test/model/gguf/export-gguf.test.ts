import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { UserError } from "../../../src/errors.ts";
import { adaptedSource } from "../../../src/model/adapted-source.ts";
import { openCheckpoint } from "../../../src/model/checkpoint.ts";
import type { DecoderSpec } from "../../../src/model/decoder-spec.ts";
import { exportGguf } from "../../../src/model/gguf/export-gguf.ts";
import { pairedRow } from "../../../src/model/gguf/llama-tensors.ts";
import { loadTokenizer } from "../../../src/model/tokenizer.ts";
import { readTokenizerFiles } from "../../../src/model/tokenizer-files.ts";
import type { WeightSource } from "../../../src/model/weight-source.ts";
import { quantizedOverlay } from "../../../src/quantization/overlay.ts";
import { plainRounding } from "../../codecs/plain-rounding.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { randomParts } from "../../support/adapters.ts";
import { openGguf } from "../../support/gguf/reader.ts";
import { packAs } from "../../support/pack-as.ts";

const folder = temporaryFolder();
/** The shipped example: Llama plan, hidden size 64, 8 heads of 8 channels, 4 of keys and values, tied. */
const EXAMPLE = "examples/stories260k";

async function exported(source: WeightSource, name: string) {
  const file = path.join(folder, `${name}.gguf`);
  const result = await exportGguf(source, { file, name, tokenizer: null });
  return { ...result, gguf: await openGguf(file) };
}

test("rows of q and k change places as llama.cpp's converter has it", () => {
  // reshape(heads, 2, dim / 2).swap(1, 2): halves become pairs.
  expect(Array.from({ length: 8 }, (_, i) => pairedRow(i, 8))).toEqual([0, 4, 1, 5, 2, 6, 3, 7]);
  expect(Array.from({ length: 8 }, (_, i) => pairedRow(8 + i, 8))).toEqual([8, 12, 9, 13, 10, 14, 11, 15]);
});

test("a checkpoint's weights are written in f32 under llama.cpp's names", async () => {
  const source = await openCheckpoint(EXAMPLE);
  const { gguf, types } = await exported(source, "dense");
  const { spec } = source;
  expect(types).toEqual({ F32: 2 * spec.blocks.length + 1 + 7 * spec.blocks.length + 1 });
  expect(gguf.metadata.get("general.architecture")).toEqual({ kind: "string", value: "llama" });
  expect(gguf.metadata.get("llama.block_count")).toEqual({ kind: "uint32", value: spec.blocks.length });
  expect(gguf.metadata.get("tokenizer.ggml.model")).toEqual({ kind: "string", value: "no_vocab" });
  const down = await source.readMatrix("blocks.2.mlp.down");
  expect(gguf.tensors.get("blk.2.ffn_down.weight")).toMatchObject({ rows: down.rows, cols: down.cols });
  expect(await gguf.readValues("blk.2.ffn_down.weight")).toEqual(
    await source.readRows("blocks.2.mlp.down", 0, down.rows),
  );
  const q = await gguf.readValues("blk.0.attn_q.weight");
  const cols = spec.hiddenSize;
  const headDim = spec.blocks[0].attention?.headDim ?? 0;
  for (const row of [0, 1, 2, headDim, headDim + 3]) {
    const from = pairedRow(row, headDim);
    expect(q.slice(row * cols, (row + 1) * cols)).toEqual(await source.readRows("blocks.0.attn.q", from, from + 1));
  }
  expect(await gguf.readValues("output_norm.weight")).toEqual(await source.readVector("finalNorm.weight"));
  await gguf.close();
  await source.close();
});

test("packed matrices keep their numbers in the type of their codec", async () => {
  const source = await openCheckpoint(EXAMPLE);
  const codecs = ["q4s-g32", "q4a-g32", "q5s-g32", "q5a-g32", "q8s-g32", "f16", "bf16"];
  const roles = ["attn.v", "attn.o", "mlp.gate", "mlp.up", "attn.k", "attn.q", "embedding"];
  const codecFor = (id: string) => codecs[roles.findIndex((role) => id.endsWith(role))] ?? null;
  const packed = quantizedOverlay(source, packAs(codecFor, "nearest"));
  const { gguf, types } = await exported(packed, "packed");
  const blocks = source.spec.blocks.length;
  const each = { Q4_0: blocks, Q4_1: blocks, Q5_0: blocks, Q5_1: blocks, Q8_0: blocks, F16: blocks, BF16: 1 };
  expect(types).toMatchObject(each);
  const plain = (values: Float32Array) => values.map((x) => x + 0);
  for (const [id, name] of [
    ["embedding", "token_embd.weight"],
    ["blocks.1.attn.v", "blk.1.attn_v.weight"],
    ["blocks.1.attn.o", "blk.1.attn_output.weight"],
    ["blocks.1.mlp.gate", "blk.1.ffn_gate.weight"],
    ["blocks.1.mlp.up", "blk.1.ffn_up.weight"],
  ]) {
    const { rows } = await packed.readMatrix(id);
    expect(plain(await gguf.readValues(name)), id).toEqual(plain(await packed.readRows(id, 0, rows)));
  }
  const { cols } = await packed.readMatrix("blocks.1.attn.k");
  const k = await gguf.readValues("blk.1.attn_k.weight");
  const from = pairedRow(9, 8);
  expect(plain(k.slice(9 * cols, 10 * cols))).toEqual(plain(await packed.readRows("blocks.1.attn.k", from, from + 1)));
  await gguf.close();
  await source.close();
});

describe("what GGUF cannot say is refused by name, and nothing is written", () => {
  async function refusal(change: (spec: DecoderSpec) => DecoderSpec): Promise<string> {
    const source = await openCheckpoint(EXAMPLE);
    const changed = {
      ...quantizedOverlay(source, () => null),
      spec: change(source.spec),
      label: "m",
    };
    const failed = exportGguf(changed, { file: path.join(folder, "no.gguf"), name: "m", tokenizer: null });
    const error = await failed.then(
      () => null,
      (reason: unknown) => reason,
    );
    await source.close();
    expect(error).toBeInstanceOf(UserError);
    return String(error);
  }
  const block = (spec: DecoderSpec, change: object) => ({
    ...spec,
    blocks: spec.blocks.map((b) => ({ ...b, ...change })),
  });

  const yarnOf = ({ blocks: [{ attention }] }: DecoderSpec) => {
    const scaling = { kind: "yarn", factor: 4, betaFast: 32, betaSlow: 1, truncate: true, originalMaxPositions: 64 };
    const rope = { ...attention?.rope, scaling: { ...scaling, attentionFactor: 1.1 } };
    return { attention: { ...attention, rope } };
  };

  test("an adapter beside the weights", async () => {
    const source = await openCheckpoint(EXAMPLE);
    const adapted = adaptedSource(source, randomParts(source.spec, { has: (block) => block === 0 }));
    const failed = exportGguf(adapted, { file: path.join(folder, "no.gguf"), name: "m", tokenizer: null });
    await expect(failed).rejects.toThrow("adapter: expected none, found one beside 7 matrices");
    await source.close();
  });

  test.each([
    ["residual: expected sequential, found parallel", (s: DecoderSpec) => block(s, { residual: "parallel" })],
    ["blocks: expected attention and a gated MLP in each", (s: DecoderSpec) => block(s, { mlp: null })],
    [
      "norms after attention and MLP: expected none, found rms",
      (s: DecoderSpec) => block(s, { mlpNorms: { pre: s.finalNorm, post: s.finalNorm } }),
    ],
    ["residual factor: expected 1, found 0.5", (s: DecoderSpec) => block(s, { residualFactor: 0.5 })],
    ["embedding scale: expected 1, found 8", (s: DecoderSpec) => ({ ...s, embeddingScale: 8 })],
    ["logit factor: expected 1, found 0.125", (s: DecoderSpec) => ({ ...s, logitFactor: 0.125 })],
    [
      "q/k norms: expected none, found rms",
      (s: DecoderSpec) => block(s, { attention: { ...s.blocks[0].attention, kNorm: { ...s.finalNorm, size: 8 } } }),
    ],
    ["rotary scaling: expected none, linear, dynamic or llama3, found yarn", (s: DecoderSpec) => block(s, yarnOf(s))],
    [
      "block 1: expected the same as block 0, found another shape",
      (s: DecoderSpec) => ({
        ...s,
        blocks: s.blocks.map((b, i) =>
          i === 1 && b.attention ? { ...b, attention: { ...b.attention, rope: null } } : b,
        ),
      }),
    ],
    [
      "norms: expected rms, rms, rms",
      (s: DecoderSpec) => ({ ...s, finalNorm: { ...s.finalNorm, kind: "layer" as const } }),
    ],
    [
      "block 1: expected the same as block 0",
      (s: DecoderSpec) => ({
        ...s,
        blocks: s.blocks.map((b, i) => (i === 1 ? { ...b, residual: "parallel" as const } : b)),
      }),
    ],
  ])("%s", async (message, change) => {
    const before = readdirSync(folder);
    expect(await refusal(change)).toContain(`m: ${message}`);
    expect(readdirSync(folder)).toEqual(before);
  });

  test.each(["q4s-g64", "q4t-g32", "q4s-g32-s8"])("a codec without a type of the same numbers: %s", async (codec) => {
    const source = await openCheckpoint(EXAMPLE);
    const packed = quantizedOverlay(
      source,
      packAs(() => codec, plainRounding),
    );
    await expect(exported(packed, codec)).rejects.toThrow(
      `embedding and 35 more: expected a codec that GGUF has too, found codec ${codec}`,
    );
    await source.close();
  });

  test("example-gguf-export: every reason at once, and what would work", async () => {
    const source = await openCheckpoint(EXAMPLE);
    const packed = quantizedOverlay(
      source,
      packAs((id) => (id.endsWith("mlp.down") ? "q4s-g32" : "f16"), "nearest"),
    );
    const tokenizer = { files: await readTokenizerFiles(EXAMPLE), tokenizer: await loadTokenizer(EXAMPLE) };
    const options = { file: path.join(folder, "t.gguf"), name: "t", tokenizer };
    const error: UserError = await exportGguf(packed, options).then(
      () => Promise.reject(new Error("exported")),
      (reason: unknown) => reason as UserError,
    );
    await source.close();
    expect(error.message).toMatch(/found 5 things that it has not: \(1\) tokenizer\.json: pre_tokenizer: .*; \(2\) /);
    expect(error.message).toContain(
      "(5) blocks.0.mlp.down and 4 more: expected a codec that GGUF has too, found 172 columns, which are no whole blocks",
    );
    expect(error.hint).toMatch(/^--no-tokenizer .*; quantize with .* f16, bf16 or f32$/);
    expect(existsSync(options.file)).toBe(false);
  });
});
