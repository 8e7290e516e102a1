import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { ModelDescription } from "../../src/model/architectures/architecture.ts";
import { describeModel, unknownConfigFields } from "../../src/model/architectures/index.ts";
import { DecoderSpec, matricesOf, vectorsOf } from "../../src/model/decoder-spec.ts";
import { architectureCases, modelCases } from "../runtime/goldens.ts";
import { dataFile, hasData, needsData, TINYSTORIES_656K } from "../support/data.ts";
import { ARCHITECTURES } from "../support/fixtures.ts";

const HAS_MODEL = hasData(TINYSTORIES_656K);

const folders = [...architectureCases(), ...modelCases()].map(({ folder }) => folder);

const readJson = (file: string): unknown => JSON.parse(readFileSync(file, "utf8"));
const load = (folder: string, file = "config.json") => describeModel(readJson(path.join(folder, file)), folder);
const fixture = (name: string) => load(path.join(ARCHITECTURES, name));

/** What transformers 5 makes of a config of the old form, for the models that come without one. */
function inNewForm(folder: string): Record<string, unknown> {
  const { rope_theta, rope_scaling, torch_dtype, ...rest }: Record<string, unknown> = JSON.parse(
    readFileSync(path.join(folder, "config.json"), "utf8"),
  );
  expect(rope_scaling).toBeNull();
  return { ...rest, dtype: torch_dtype, pad_token_id: null, rope_parameters: { rope_theta, rope_type: "default" } };
}

/** Tensor name -> shape, from the headers of all safetensors files of a folder. */
function storedShapes(folder: string): Map<string, number[]> {
  const shapes = new Map<string, number[]>();
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".safetensors"))) {
    const bytes = readFileSync(path.join(folder, file));
    const header: Record<string, { shape: number[] }> = JSON.parse(
      bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString("utf8"),
    );
    for (const [name, { shape }] of Object.entries(header)) if (name !== "__metadata__") shapes.set(name, shape);
  }
  return shapes;
}

/** The description, with a tied embedding where the folder stores it under the head's name only. */
function stored(folder: string): ModelDescription {
  const description = load(folder);
  const { tiedHead, sources } = description;
  const names = storedShapes(folder);
  if (!tiedHead || sources.get("embedding")?.names.some((name) => names.has(name))) return description;
  return { ...description, sources: new Map([...sources, ["embedding", tiedHead]]) };
}

describe("describeModel on the fixtures", () => {
  it("finds 21 fixtures and the models", () => expect(folders.length).toBeGreaterThanOrEqual(23));

  describe.each(folders.map((folder) => [path.basename(folder), folder]))("%s", (_, folder) => {
    it("reads the hub's form and transformers 5's form as the same model", () => {
      const v5 = existsSync(path.join(folder, "config.v5.json")) ? load(folder, "config.v5.json") : null;
      expect(v5 ?? describeModel(inNewForm(folder), folder)).toEqual(load(folder));
      expect(unknownConfigFields(readJson(path.join(folder, "config.json")), folder)).toEqual([]);
    });

    it("gives a spec that survives the manifest: plain data that its schema accepts", () => {
      const { spec } = load(folder);
      expect(DecoderSpec.parse(JSON.parse(JSON.stringify(spec)))).toEqual(spec);
    });

    it("says for every parameter where it lies, with the shape that is stored there", () => {
      const { spec, sources } = stored(folder);
      const shapes = storedShapes(folder);
      const ids = [...matricesOf(spec).map((m) => m.id), ...vectorsOf(spec).map((v) => v.id)];
      expect([...sources.keys()].sort()).toEqual(ids.sort());
      for (const { names, shape } of sources.values()) {
        const name = names.find((n) => shapes.has(n));
        expect(name, names.join(" or ")).toBeDefined();
        if (name) expect(shapes.get(name)).toEqual(shape);
      }
    });

    it("covers every stored row exactly once, and ignores what is left", () => {
      const { sources, ignored } = stored(folder);
      const shapes = storedShapes(folder);
      const rowsRead = new Map<string, number[]>();
      for (const { names, shape, rowRanges } of sources.values()) {
        const name = names.find((n) => shapes.has(n)) ?? "";
        const rows = rowsRead.get(name) ?? new Array<number>(shape[0]).fill(0);
        for (const [from, to] of rowRanges ?? [[0, shape[0]]]) for (let r = from; r < to; r++) rows[r]++;
        rowsRead.set(name, rows);
      }
      for (const [name, rows] of rowsRead)
        expect(
          rows.every((times) => times === 1),
          name,
        ).toBe(true);
      const left = [...shapes.keys()].filter((name) => !rowsRead.has(name));
      expect(left.filter((name) => !ignored.some((pattern) => pattern.test(name)))).toEqual([]);
    });
  });

  it("has as many matrix rows as the ranges of a fused tensor give", () => {
    for (const folder of folders) {
      const { spec, sources } = load(folder);
      for (const { id, rows } of matricesOf(spec)) {
        const ranges = sources.get(id)?.rowRanges;
        if (ranges) expect(ranges.reduce((sum, [from, to]) => sum + to - from, 0)).toBe(rows);
      }
    }
  });
});

describe("what the fixtures hold", () => {
  const block = (name: string) => fixture(name).spec.blocks[0];

  it("llama3-rope: list of end tokens, llama3 scaling", () => {
    const { spec } = fixture("llama3-rope");
    expect(spec.eosTokens).toEqual([2, 5, 9]);
    expect(spec.blocks[0].attention?.rope).toEqual({
      dims: 16,
      theta: 5000,
      scaling: { kind: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 64 },
    });
  });

  it("qwen2-yarn and llama-yarn-mscale: what transformers takes where YaRN's numbers are left out; positions it reaches", () => {
    const yarn = (name: string) => fixture(name).spec.blocks[0].attention?.rope?.scaling;
    expect(yarn("qwen2-yarn")).toEqual({
      ...{ kind: "yarn", factor: 4, betaFast: 32, betaSlow: 1, truncate: true, originalMaxPositions: 256 },
      attentionFactor: 0.1 * Math.log(4) + 1,
    });
    expect(yarn("llama-yarn-mscale")).toEqual({
      ...{ kind: "yarn", factor: 8, betaFast: 16, betaSlow: 2, truncate: false, originalMaxPositions: 64 },
      attentionFactor: (0.1 * 0.7 * Math.log(8) + 1) / (0.1 * 1.3 * Math.log(8) + 1),
    });
    // Qwen's configs state the positions before YaRN, others those after.
    expect([fixture("qwen2-yarn").spec.maxPositions, fixture("llama-yarn-mscale").spec.maxPositions]).toEqual([
      1024, 512,
    ]);
    expect(fixture("llama-dynamic").spec).toMatchObject({ maxPositions: 128 });
  });

  it("llama-bias-bf16: biases on q, k, v, o and none in the MLP", () => {
    const { attention, mlp } = block("llama-bias-bf16");
    expect([attention?.q, attention?.k, attention?.v, attention?.o].map((l) => l?.bias)).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(mlp?.up.bias).toBe(false);
  });

  it("mistral-window and qwen2-tied: a window counts only where it is in use", () => {
    expect(fixture("mistral-window").spec.blocks.map((b) => b.attention?.window)).toEqual([8, 8, 8]);
    expect(fixture("qwen2-tied").spec.blocks.map((b) => b.attention?.window)).toEqual([null, null, null]);
  });

  it("qwen3: head size of its own, norms on heads, scale by the head size", () => {
    const { attention } = block("qwen3");
    expect(attention).toMatchObject({
      headDim: 24,
      qNorm: { kind: "rms", size: 24 },
      kNorm: { kind: "rms", size: 24 },
      o: { rows: 64, cols: 96 },
    });
    expect(attention?.scale).toBeCloseTo(1 / Math.sqrt(24), 15);
  });

  it("neox: parallel or sequential, partial rotary, erf GELU, q k v head by head", () => {
    const { spec, sources } = fixture("neox-parallel");
    expect(spec.blocks[0]).toMatchObject({ residual: "parallel", mlp: { activation: "gelu-erf", gate: null } });
    expect(spec.blocks[0].mlpNorms.pre).not.toBeNull();
    expect(spec.blocks[0].attention?.rope?.dims).toBe(4);
    expect(block("neox-sequential").residual).toBe("sequential");
    expect(block("neox-sequential").attention?.rope?.dims).toBe(8);
    const ranges = (id: string) => sources.get(id)?.rowRanges?.slice(0, 2);
    expect(ranges("blocks.0.attn.q")).toEqual([
      [0, 16],
      [48, 64],
    ]);
    expect(ranges("blocks.0.attn.k")).toEqual([
      [16, 32],
      [64, 80],
    ]);
    expect(ranges("blocks.0.attn.v.bias")).toEqual([
      [32, 48],
      [80, 96],
    ]);
  });

  it("phi: one norm for both branches, tanh GELU, a bias on the head", () => {
    expect(fixture("phi").spec.headBias).toBe(true);
    expect(block("phi")).toMatchObject({
      residual: "parallel",
      mlpNorms: { pre: null, post: null },
      mlp: { activation: "gelu-tanh" },
    });
  });

  it("phi3-longrope: stacked q k v, gate above up, attention factor from the stretch", () => {
    const { spec, sources } = fixture("phi3-longrope");
    const scaling = spec.blocks[0].attention?.rope?.scaling;
    expect(scaling?.kind).toBe("longrope");
    if (scaling?.kind === "longrope") {
      expect(scaling.attentionFactor).toBeCloseTo(Math.sqrt(1 + Math.log(8) / Math.log(16)), 15);
      expect(scaling.longFactor[7]).toBe(14);
    }
    expect(sources.get("blocks.0.attn.k")?.rowRanges).toEqual([[64, 96]]);
    expect(sources.get("blocks.0.mlp.gate")?.rowRanges).toEqual([[0, 112]]);
    expect(sources.get("blocks.0.mlp.up")?.rowRanges).toEqual([[112, 224]]);
  });

  it("gemma3: norms on both sides of each half, scaled embedding, a window and a base of its own in most blocks", () => {
    const { spec, sources } = fixture("gemma3");
    const norm = { kind: "rms", size: 64, eps: 1e-6 };
    const blocks = spec.blocks.map(({ attention }) => [attention?.window, attention?.rope?.theta]);
    const [sliding, full] = [
      [8, 10000],
      [null, 1e6],
    ];
    expect(blocks).toEqual([sliding, sliding, full, sliding, sliding, full]);
    expect(spec.blocks[0]).toMatchObject({
      attentionNorms: { pre: norm, post: norm },
      mlpNorms: { pre: norm, post: norm },
      attention: { qNorm: { size: 24 }, kNorm: { size: 24 }, scale: 1 / Math.sqrt(24) },
      mlp: { activation: "gelu-tanh" },
    });
    expect([spec.embeddingScale, spec.logitFactor, spec.tied]).toEqual([8, 1, true]);
    const offsets = vectorsOf(spec).map(({ id }) => sources.get(id)?.offset);
    expect(new Set(offsets)).toEqual(new Set([1]));
    expect(sources.get("blocks.0.mlp.down")?.offset).toBe(0);
  });

  it("olmo2: norms after each half only, and over all heads together", () => {
    const norm = { kind: "rms", size: 64, eps: 1e-6 };
    expect(block("olmo2")).toMatchObject({
      attentionNorms: { pre: null, post: norm },
      mlpNorms: { pre: null, post: norm },
      attention: { qNorm: norm, kNorm: { ...norm, size: 32 } },
    });
  });

  it("smollm3: blocks without a rotary embedding, listed or every so many", () => {
    const rotated = (config: object) =>
      describeModel(config, "m").spec.blocks.map(({ attention }) => !!attention?.rope);
    expect(fixture("smollm3").spec.blocks.map(({ attention }) => attention?.rope?.theta)).toEqual([
      ...[2e6, 2e6],
      ...[undefined, 2e6],
    ]);
    const { no_rope_layers: _, ...rest } = z
      .looseObject({})
      .parse(readJson(path.join(ARCHITECTURES, "smollm3/config.json")));
    expect(rotated(rest)).toEqual([true, true, true, false]);
    expect(rotated({ ...rest, no_rope_layer_interval: 2 })).toEqual([true, false, true, false]);
  });

  it("granite: four factors", () => {
    const { spec } = fixture("granite");
    expect([spec.embeddingScale, spec.logitFactor]).toEqual([12, 1 / 8]);
    expect(spec.blocks[2]).toMatchObject({ residualFactor: 0.22, attention: { scale: 0.0625 } });
  });

  it("starcoder2: layer norms, biases, a plain MLP and a window in every block", () => {
    expect(block("starcoder2")).toMatchObject({
      residual: "sequential",
      attentionNorms: { pre: { kind: "layer", eps: 1e-5 }, post: null },
      attention: { window: 8, q: { bias: true }, o: { bias: true } },
      mlp: { gate: null, activation: "gelu-tanh", down: { rows: 64, cols: 160, bias: true } },
    });
  });

  it.skipIf(!HAS_MODEL)(needsData("tinystories-656k: a tied model may store either name", TINYSTORIES_656K), () => {
    const { spec, sources, tiedHead } = load(dataFile(TINYSTORIES_656K));
    expect(spec.tied).toBe(true);
    expect(sources.get("embedding")?.names).toEqual(["model.embed_tokens.weight", "embed_tokens.weight"]);
    expect(tiedHead?.names).toEqual(["lm_head.weight"]);
    expect(sources.has("head")).toBe(false);
  });
});
