import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { openArtifact } from "../../src/artifact/reader.ts";
import { adaptedSource } from "../../src/model/adapted-source.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { mergedSource } from "../../src/model/merged-source.ts";
import { readPeftAdapter } from "../../src/model/peft/read.ts";
import { writePeftAdapter } from "../../src/model/peft/write.ts";
import type { WeightSource } from "../../src/model/weight-source.ts";
import { roundToF16 } from "../../src/tensor/half.ts";
import { commandLine } from "../cli/command-line.ts";
import { logitsOf, maxDifference } from "../runtime/compare.ts";
import { packedSource, unpackedSource } from "../runtime/random-model.ts";
import { executorsOf, TEST_EXECUTORS } from "../runtime/test-executors.ts";
import { randomParts, withCommonInputs } from "../support/adapters.ts";
import { expectSame } from "../support/expect-same.ts";
import { ARCHITECTURES } from "../support/fixtures.ts";
import { EXAMPLE, withFolder } from "./command.ts";

const IDS = [5, 9, 200, 31, 77, 4, 150, 90, 8, 11, 63];

/** A Llama, both fusions (head by head, and stacked), and parallel blocks under one norm. */
describe.each(["llama-gqa", "neox-parallel", "phi", "phi3"])("an adapter of PEFT on %s", (family) => {
  it("beside weights, dense or packed, is the adapter merged into them, on every executor", () =>
    withFolder(async (folder) => {
      const checkpoint = await openCheckpoint(path.join(ARCHITECTURES, family));
      const { spec } = checkpoint;
      await writePeftAdapter(folder, spec, withCommonInputs(randomParts(spec, { scale: 0.2 })), { base: null });
      const { parts } = await readPeftAdapter(folder, spec);
      const packed = await packedSource(checkpoint, "q4s-g32");
      for (const source of [checkpoint, packed]) {
        const merged = mergedSource(await unpackedSource(source), parts);
        const all: Float32Array[] = [];
        for (const kind of TEST_EXECUTORS) {
          const logits = async (of: WeightSource) => {
            const executor = await executorsOf(kind, "packed")(of);
            const found = await logitsOf(executor, IDS);
            await executor.dispose();
            return found;
          };
          const beside = await logits(adaptedSource(source, parts));
          expect(maxDifference(beside, await logits(merged))).toBeLessThan(5e-4);
          expect(maxDifference(beside, await logits(source))).toBeGreaterThan(0.1);
          all.push(beside);
        }
        for (const other of all) expect(maxDifference(other, all[0])).toBeLessThan(5e-4);
      }
      await checkpoint.close();
    }));
});

async function documentOf(...args: string[]) {
  const { code, stdout, stderr } = await commandLine([...args, "--json"]);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

const RECIPE = `
name: halves
calibration: { sources: [{ path: a.txt, tokens: 8 }] }
plan: { allocator: uniform, codecs: [16], embedding: 16 bits }
`;

describe("the commands", () => {
  it("compress merges, adapt adds, run and eval take an adapter of their own", { timeout: 60_000 }, () =>
    withFolder(async (folder) => {
      const checkpoint = await openCheckpoint(EXAMPLE);
      const { spec } = checkpoint;
      const parts = randomParts(spec, { scale: 0.3 });
      const adapter = path.join(folder, "adapter");
      await writePeftAdapter(adapter, spec, parts, { base: "stories" });
      const recipe = path.join(folder, "recipe.yaml");
      writeFileSync(recipe, RECIPE);
      const compress = (...more: string[]) =>
        documentOf(
          ...["compress", EXAMPLE, "--budget", "64 MiB", "--context", "64", "--out", path.join(folder, "run"), ...more],
        );
      const plain = await compress("--recipe", recipe);
      const merged = await compress("--recipe", recipe, "--adapter", adapter);
      expect(merged.steps.map(({ cached }: { cached: boolean }) => cached)).not.toContain(true);
      const artifact = await openArtifact(merged.artifact);
      expect(artifact.manifest.provenance.adapter).toMatchObject({
        base: "stories",
        files: [{ name: "adapter_config.json" }, { name: "adapter_model.safetensors" }],
      });
      const expected = await mergedSource(checkpoint, parts).readRows("blocks.2.attn.v", 3, 20);
      expectSame(await artifact.readRows("blocks.2.attn.v", 3, 20), expected.map(roundToF16));
      await artifact.close();
      const text = async (model: string, ...more: string[]) =>
        (await documentOf("run", model, "Once upon a time", "--max-tokens", "12", ...more)).text;
      const ofMerged = await text(merged.artifact);

      // The recipe may name it; the same adapter again is the same run.
      mkdirSync(path.join(folder, "recipes"));
      const named = path.join(folder, "recipes", "named.yaml");
      writeFileSync(named, `${RECIPE}adapter: ../adapter\n`);
      const again = await compress("--recipe", named);
      expect(again.artifact).toBe(merged.artifact);
      expect(await text(again.artifact)).toBe(ofMerged);

      await compress("--recipe", recipe);
      const without = await text(plain.artifact);
      expect(without).not.toBe(ofMerged);
      expect(await text(plain.artifact, "--adapter", adapter)).toBe(ofMerged);
      expect(await text(EXAMPLE, "--adapter", adapter)).toBe(ofMerged);
      await documentOf("adapt", plain.artifact, adapter, "--type", "F32");
      expect(await text(plain.artifact)).toBe(ofMerged);
      expect(await documentOf("verify", plain.artifact)).toMatchObject({ ok: true, findings: [] });
      const { memory, adapter: table } = await documentOf("inspect", plain.artifact);
      expect(table.origin).toMatchObject({ kind: "peft", base: "stories" });
      const bytes = parts.reduce((sum, { a, b }) => sum + 4 * (a.length + b.length), 0);
      const line = memory.items.find(({ key }: { key: string }) => key === "adapter");
      expect(line.bytes).toBeGreaterThan(bytes);
      const refused = await commandLine(["export-gguf", plain.artifact, path.join(folder, "x.gguf")]);
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("adapter: expected none, found one") });
      await checkpoint.close();
    }),
  );

  it("refuse an adapter of another model, and one where a model is expected, in one line", () =>
    withFolder(async (folder) => {
      const checkpoint = await openCheckpoint(path.join(ARCHITECTURES, "llama-gqa"));
      await checkpoint.close();
      await writePeftAdapter(folder, checkpoint.spec, randomParts(checkpoint.spec), { base: null });
      for (const args of [
        ["run", EXAMPLE, "Once", "--adapter", folder],
        ["compress", EXAMPLE, "--budget", "64 MiB", "--out", path.join(folder, "run"), "--adapter", folder],
      ]) {
        const { code, stderr } = await commandLine(args);
        expect(code).toBe(1);
        expect(stderr).toMatch(/^layerwise: .*expected shape .*by model and adapter_config\.json, found/);
        expect(stderr.trimEnd().split("\n").length).toBeLessThan(3);
      }
      const { code, stderr } = await commandLine(["adapt", EXAMPLE, folder]);
      expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining("found a checkpoint") });
    }));
});
