import { describe, expect, it } from "vitest";
import { CODECS } from "../../src/codecs/index.ts";
import { type DecoderSpec, matricesOf } from "../../src/model/decoder-spec.ts";
import { exitFileLayout, gatheredRowBytes } from "../../src/model/exit-bytes.ts";
import { type MemoryOptions, memorySum } from "../../src/model/memory.ts";
import { MemorySum } from "../../src/model/memory-sum.ts";
import { MAX_FILE_BYTES, packedLayout } from "../../src/model/packed-layout.ts";
import { workspaceBytes } from "../../src/model/workspace.ts";
import { tinyPlan, tinySpec } from "../artifact/tiny-source.ts";

const options: MemoryOptions = {
  contextTokens: 2048,
  kvType: "f16",
  residency: "packed",
  runtimeBaseBytes: 5000,
  budgetCovers: "model",
};

const allAt = (spec: DecoderSpec, codec: keyof typeof CODECS) => new Map(matricesOf(spec).map(({ id }) => [id, codec]));
const itemOf = (sum: MemorySum, key: string) => sum.items.find((item) => item.key === key)?.bytes;

describe("memorySum", () => {
  it("adds up, and is what its schema says", () => {
    for (const tied of [true, false]) {
      const spec = tinySpec(tied);
      const exits = { exits: [{ kind: "adapter" as const, rank: 2 }], vocabulary: { ids: 30 } };
      const sum = memorySum(spec, allAt(spec, "q4s-g32"), { ...options, exits });
      const exitBytes = exitFileLayout(spec, exits).totalBytes;
      expect(MemorySum.parse(sum)).toEqual(sum);
      const bytesOf = (where?: string) =>
        sum.items.filter((item) => !where || item.where === where).reduce((total, item) => total + item.bytes, 0);
      expect(sum.fileBytes).toBe(bytesOf("file"));
      expect(sum.modelBytes).toBe(bytesOf());
      expect(sum.totalBytes).toBe(sum.modelBytes);
      expect(itemOf(sum, "exits")).toBe(exitBytes);
      expect(itemOf(sum, "exits.vocabulary")).toBe(gatheredRowBytes(spec, exits, "q4s-g32"));
      expect(itemOf(sum, "head.levels") === undefined).toBe(tied);
      const files = packedLayout(spec, allAt(spec, "q4s-g32")).files;
      expect(sum.fileBytes - exitBytes).toBe(files.reduce((total, file) => total + file.layout.totalBytes, 0));
    }
  });

  it("itemises matrices by role, levels apart from scales", () => {
    const spec = tinySpec(false);
    const sum = memorySum(spec, allAt(spec, "q4a-g64"), options);
    const parts = (ids: RegExp) =>
      matricesOf(spec)
        .filter(({ id }) => ids.test(id))
        .map(({ rows, cols }) => CODECS["q4a-g64"].packedParts(rows, cols));
    for (const [group, ids] of [
      ["embedding", /^embedding/],
      ["attn", /attn/],
      ["mlp", /mlp/],
      ["head", /^head/],
    ] as const) {
      expect(itemOf(sum, `${group}.levels`)).toBe(parts(ids).reduce((total, part) => total + part.levels, 0));
      expect(itemOf(sum, `${group}.scales`)).toBe(parts(ids).reduce((total, part) => total + part.scales, 0));
    }
    expect(itemOf(sum, "workspace")).toBe(workspaceBytes(spec, options));
  });

  it("counts the base of the runtime where the budget covers the process", () => {
    const spec = tinySpec(true);
    const sum = memorySum(spec, allAt(spec, "f16"), { ...options, budgetCovers: "process" });
    expect(sum.totalBytes).toBe(sum.modelBytes + 5000);
  });

  it("counts keys and values of the blocks that have attention, a window's only as far as it is kept", () => {
    const spec = tinySpec(true);
    const kv = (changes: Partial<MemoryOptions>) =>
      itemOf(memorySum(spec, allAt(spec, "f16"), { ...options, ...changes }), "kv");
    const positionBytes = 2 * 12 * 2 * 2;
    // Blocks 0 and 2 hold all positions, block 1 a window of 100 + 64 in whole pages and one page more, block 3 has
    // none.
    expect(kv({ contextTokens: 2048 })).toBe((2 * 2048 + 256) * positionBytes);
    expect(kv({ contextTokens: 90 })).toBe(3 * 90 * positionBytes);
    expect(kv({ contextTokens: 90, kvType: "f32" })).toBe(2 * 3 * 90 * positionBytes);
    const { kvHeads, headDim } = spec.blocks[0].attention ?? { kvHeads: 0, headDim: 0 };
    expect(kv({ contextTokens: 90, kvType: "q8" })).toBe(3 * 90 * 2 * kvHeads * (headDim + 4));
  });

  it("adds the expanded matrices of a resident run", () => {
    for (const tied of [true, false]) {
      const spec = tinySpec(tied);
      const sum = memorySum(spec, allAt(spec, "q4s-g32"), { ...options, residency: "resident" });
      const blocks = matricesOf(spec).filter(({ block }) => block !== null);
      const weights = blocks.reduce((total, { rows, cols }) => total + rows * cols, spec.vocabSize * spec.hiddenSize);
      expect(itemOf(sum, "expanded")).toBe(4 * weights);
    }
  });

  it("needs a codec for every matrix, and a known one", () => {
    const spec = tinySpec(true);
    const codecs = new Map<string, string>(allAt(spec, "f16"));
    codecs.delete("blocks.0.attn.q");
    expect(() => memorySum(spec, codecs, options)).toThrow(/blocks\.0\.attn\.q has no codec/);
    codecs.set("blocks.0.attn.q", "q9");
    expect(() => memorySum(spec, codecs, options)).toThrow(/q9/);
  });

  it("is quick enough to be asked for every candidate plan", () => {
    const spec = { ...tinySpec(true), blocks: Array.from({ length: 40 }, () => tinySpec(true).blocks[0]) };
    const began = performance.now();
    for (let i = 0; i < 50; i++) memorySum(spec, allAt(spec, "q4s-g32"), options);
    expect((performance.now() - began) / 50).toBeLessThan(50);
  });
});

describe("packedLayout", () => {
  const codecsOf = (spec: DecoderSpec) => new Map(tinyPlan(spec).units.map(({ id, codec }) => [id, codec]));

  it("cuts files between segments, keeps to the limit and loses nothing", () => {
    const spec = tinySpec(false);
    const whole = packedLayout(spec, codecsOf(spec));
    expect(whole.files.map(({ name }) => name)).toEqual(["weights-00001-of-00001.safetensors"]);
    for (const limit of [1, 20_000, 40_000, 80_000, MAX_FILE_BYTES]) {
      const { files, segments } = packedLayout(spec, codecsOf(spec), limit);
      expect(files.flatMap(({ tensors }) => tensors)).toEqual(segments.flat());
      expect(files.map(({ segmentFrom }) => segmentFrom)).toEqual([
        0,
        ...files.slice(0, -1).map(({ segmentTo }) => segmentTo),
      ]);
      for (const file of files) {
        const single = file.segmentTo - file.segmentFrom === 1;
        expect(single || file.layout.totalBytes <= limit).toBe(true);
        expect(file.layout.dataOffset % 4096).toBe(0);
        expect(file.name).toContain(`of-${String(files.length).padStart(5, "0")}`);
      }
    }
  });

  it("pads every segment but the last to a page, with no empty tensor", () => {
    const spec = tinySpec(true);
    const { segments } = packedLayout(spec, codecsOf(spec));
    for (const tensors of segments.slice(0, -1)) {
      expect(tensors.reduce((sum, { bytes }) => sum + bytes, 0) % 4096).toBe(0);
    }
    for (const { bytes } of segments.flat()) expect(bytes).toBeGreaterThan(0);
    expect(segments.at(-1)?.map(({ kind }) => kind)).toEqual(["vector", "vector"]);
  });
});
