import { readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { openSafetensors } from "../../src/formats/safetensors/index.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { checkWeights } from "../../src/model/checkpoint-check.ts";
import { matricesOf, vectorsOf } from "../../src/model/decoder-spec.ts";
import type { Progress } from "../../src/progress.ts";
import { roundToBf16 } from "../../src/tensor/half.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { ARCHITECTURES, architectureNames } from "../support/fixtures.ts";
import { makeCheckpoint, TINY_CONFIG, tinyTensors, writeTensors } from "./checkpoint-fixture.ts";

const root = temporaryFolder();

describe("a checkpoint", () => {
  test("reads matrices, rows and vectors in f32", async () => {
    const tensors = tinyTensors();
    const checkpoint = await openCheckpoint(await makeCheckpoint(root, TINY_CONFIG, tensors));
    const down = tensors.get("model.layers.1.mlp.down_proj.weight");
    expect(await checkpoint.readMatrix("blocks.1.mlp.down")).toEqual({
      kind: "dense",
      rows: 8,
      cols: 12,
      data: down?.values,
    });
    expect(await checkpoint.readRows("blocks.1.mlp.down", 3, 5)).toEqual(down?.values.slice(36, 60));
    expect(await checkpoint.readRows("blocks.1.mlp.down", 8, 8)).toEqual(new Float32Array(0));
    expect(await checkpoint.readVector("finalNorm.weight")).toEqual(tensors.get("model.norm.weight")?.values);
    await expect(checkpoint.readRows("embedding", 3, 12)).rejects.toThrow(RangeError);
    await expect(checkpoint.readMatrix("blocks.2.mlp.down")).rejects.toThrow("no parameter");
    await checkpoint.close();
  });

  test("says what it is made of", async () => {
    const tensors = tinyTensors();
    for (const [name, tensor] of tensors) if (name.includes("mlp")) tensors.set(name, { ...tensor, dtype: "BF16" });
    tensors.set("model.layers.0.self_attn.rotary_emb.inv_freq", { shape: [1], values: new Float32Array(1) });
    tensors.set("something.else", { shape: [2], values: new Float32Array(2) });
    const checkpoint = await openCheckpoint(await makeCheckpoint(root, TINY_CONFIG, tensors));
    expect(checkpoint.unused).toEqual(["something.else"]);
    expect(checkpoint.storedDtype("blocks.0.mlp.up")).toBe("BF16");
    expect(checkpoint.storedDtype("head")).toBe("F32");
    expect(checkpoint.dtypes.get("BF16")).toEqual({ tensors: 6, bytes: 2 * 2 * 3 * 96 });
    const f32Values = 2 * (2 * 64 + 2 * 32 + 16) + 2 * 88 + 8;
    expect(checkpoint.weightBytes).toBe(2 * 2 * 3 * 96 + 4 * f32Values);
    expect(checkpoint.files).toMatchObject([
      {
        path: path.join(checkpoint.label, "model.safetensors"),
        bytes: readFileSync(path.join(checkpoint.label, "model.safetensors")).length,
      },
    ]);
    expect(checkpoint.configJson).toEqual(TINY_CONFIG);
    const up = tensors.get("model.layers.0.mlp.up_proj.weight");
    expect(await checkpoint.readRows("blocks.0.mlp.up", 0, 12)).toEqual(up?.values.map(roundToBf16));
    await checkpoint.close();
  });

  test("is named by config and headers, not by where it lies", async () => {
    const idOf = async (folder: string) => {
      const checkpoint = await openCheckpoint(folder);
      await checkpoint.close();
      return checkpoint.id;
    };
    const id = await idOf(await makeCheckpoint(root));
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(await idOf(await makeCheckpoint(root))).toBe(id);
    expect(await idOf(await makeCheckpoint(root, { ...TINY_CONFIG, rope_theta: 500000 }))).not.toBe(id);
    const tensors = tinyTensors();
    const norm = tensors.get("model.norm.weight");
    if (norm) tensors.set("model.norm.weight", { ...norm, dtype: "BF16" });
    expect(await idOf(await makeCheckpoint(root, TINY_CONFIG, tensors))).not.toBe(id);
  });

  test("may be one safetensors file of any name, or shards with an index", async () => {
    const single = await makeCheckpoint(root);
    renameSync(path.join(single, "model.safetensors"), path.join(single, "weights.safetensors"));
    const sharded = await makeCheckpoint(root, TINY_CONFIG, null);
    const weightMap: Record<string, string> = {};
    const shards = [new Map(), new Map()];
    for (const [i, [name, tensor]] of [...tinyTensors()].entries()) {
      shards[i % 2].set(name, tensor);
      weightMap[name] = `part-${i % 2}.safetensors`;
    }
    for (const [i, shard] of shards.entries()) await writeTensors(path.join(sharded, `part-${i}.safetensors`), shard);
    writeFileSync(path.join(sharded, "model.safetensors.index.json"), JSON.stringify({ weight_map: weightMap }));
    const [one, two] = [await openCheckpoint(single), await openCheckpoint(sharded)];
    expect(two.files.length).toBe(2);
    for (const { id } of matricesOf(one.spec)) expect(await two.readMatrix(id)).toEqual(await one.readMatrix(id));
    for (const { id } of vectorsOf(one.spec)) expect(await two.readVector(id)).toEqual(await one.readVector(id));
    await one.close();
    await two.close();
  });
});

describe("architecture fixtures", () => {
  test.each(architectureNames())("%s: every parameter has its shape, nothing is left over", async (name) => {
    const checkpoint = await openCheckpoint(path.join(ARCHITECTURES, name));
    try {
      expect(checkpoint.unused).toEqual([]);
      for (const { id, rows, cols } of matricesOf(checkpoint.spec)) {
        const matrix = await checkpoint.readMatrix(id);
        expect([matrix.rows, matrix.cols, matrix.data.length]).toEqual([rows, cols, rows * cols]);
        const from = Math.floor(rows / 3);
        const part = await checkpoint.readRows(id, from, rows - 1);
        expect(part.length).toBe((rows - 1 - from) * cols);
        expect(part.every((value, i) => value === matrix.data[from * cols + i])).toBe(true);
      }
      for (const { id, length } of vectorsOf(checkpoint.spec)) {
        expect((await checkpoint.readVector(id)).length).toBe(length);
      }
      const reports: Progress[] = [];
      await checkWeights(checkpoint, { onProgress: (progress) => reports.push(progress) });
      expect(reports.length).toBe(checkpoint.spec.blocks.length + 3);
      expect(reports.at(-1)?.done).toBe(reports.at(-1)?.total);
    } finally {
      await checkpoint.close();
    }
  });

  test("GPT-NeoX: q, k and v are gathered head by head from the fused tensor", async () => {
    const folder = path.join(ARCHITECTURES, "neox-parallel");
    const checkpoint = await openCheckpoint(folder);
    const file = await openSafetensors(path.join(folder, "model.safetensors"));
    const name = "gpt_neox.layers.1.attention.query_key_value.weight";
    const [rows, cols] = file.tensor(name).shape;
    const fused = await file.readF32(name, 0, rows * cols);
    const attention = checkpoint.spec.blocks[1].attention;
    if (!attention) throw new Error("a block without attention");
    const { heads, headDim } = attention;
    for (const [place, role] of ["attn.q", "attn.k", "attn.v"].entries()) {
      const { data } = await checkpoint.readMatrix(`blocks.1.${role}`);
      for (let head = 0; head < heads; head++) {
        const from = (3 * head + place) * headDim * cols;
        const found = data.subarray(head * headDim * cols, (head + 1) * headDim * cols);
        expect(found.every((value, i) => value === fused[from + i])).toBe(true);
      }
      const part = await checkpoint.readRows(`blocks.1.${role}`, headDim - 1, headDim + 1);
      expect(part).toEqual(data.slice((headDim - 1) * cols, (headDim + 1) * cols));
    }
    await file.close();
    await checkpoint.close();
  });
});
