import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { openStatisticsSweep } from "../../src/calibration/statistics.ts";
import { CODECS, codecIdOf } from "../../src/codecs/index.ts";
import { UserError } from "../../src/errors.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { type DenseMatrix, denseMatrix } from "../../src/model/weight-source.ts";
import { openEngine } from "../../src/native/load.ts";
import { quantizeGptq } from "../../src/quantization/gptq.ts";
import { hessianError, hessianErrorOn } from "../../src/quantization/hessian-error.ts";
import type { QuantizerId } from "../../src/quantization/index.ts";
import { quantizeNearest } from "../../src/quantization/nearest.ts";
import { packerOf } from "../../src/quantization/packer.ts";
import type { Quantizer } from "../../src/quantization/quantizer.ts";
import { type InputGram, prepareInput, type QuantizerInput } from "../../src/quantization/quantizer-input.ts";
import { quantizeWeighted } from "../../src/quantization/weighted.ts";
import { Random } from "../../src/tensor/random.ts";
import { valuesOf } from "../codecs/sample-numbers.ts";
import { HAS_ADDON } from "../runtime/native/addon-state.ts";
import { executorsOf, TEST_EXECUTORS } from "../runtime/test-executors.ts";

/** Mean squared error of an output. */
function errorOf(quantizer: Quantizer, codecId: string, matrix: DenseMatrix, input: QuantizerInput): number {
  const codec = CODECS[codecIdOf(codecId)];
  const values = valuesOf(codec, quantizer(matrix, codec, { input }));
  return hessianError(matrix.data, values, input.gram, matrix.rows, matrix.cols);
}

/** Inputs with a few common causes, of very different size from column to column. */
function correlatedGram(cols: number, seed: number): InputGram {
  const random = new Random(seed);
  const draw = () => random.nextNormal();
  const size = Float64Array.from({ length: cols }, () => Math.exp(draw()));
  const mix = Float64Array.from({ length: 6 * cols }, draw);
  const gram = new Float64Array(cols * cols);
  for (let sample = 0; sample < 4 * cols; sample++) {
    const causes = Array.from({ length: 6 }, draw);
    const x = size.map(
      (scale, i) => scale * (0.4 * draw() + causes.reduce((sum, cause, c) => sum + cause * mix[c * cols + i], 0)),
    );
    for (let i = 0; i < cols; i++) for (let j = 0; j < cols; j++) gram[i * cols + j] += (x[i] * x[j]) / (4 * cols);
  }
  return { cols, gram: Float32Array.from(gram) };
}

const random = new Random(4);
const matrix: DenseMatrix = {
  kind: "dense",
  rows: 12,
  cols: 100,
  data: Float32Array.from({ length: 1200 }, () => random.nextNormal()),
};
const FORMS = ["q2t-g32-s8", "q3s-g32", "q4t-g64", "q4a-g32-s8", "q5s-row", "q8a-g128"];

describe("gptq and weighted", () => {
  it.each(FORMS)("%s: each leaves a smaller output error than the one before", async (id) => {
    const input = await prepareInput(correlatedGram(100, 1), "factor");
    if (!input) throw new Error("an input is asked for");
    const nearest = errorOf(quantizeNearest, id, matrix, input);
    const weighted = errorOf(quantizeWeighted, id, matrix, input);
    expect(weighted).toBeLessThan(nearest);
    expect(errorOf(quantizeGptq, id, matrix, input)).toBeLessThan(0.6 * weighted);
  });

  it("treat each row by itself", async () => {
    const input = await prepareInput(correlatedGram(100, 1), "factor");
    const codec = CODECS["q3t-g32-s8"];
    const part: DenseMatrix = { kind: "dense", rows: 4, cols: 100, data: matrix.data.slice(300, 700) };
    for (const quantizer of [quantizeWeighted, quantizeGptq]) {
      const whole = valuesOf(codec, quantizer(matrix, codec, { input }));
      expect(valuesOf(codec, quantizer(part, codec, { input }))).toEqual(whole.slice(300, 700));
    }
  });

  it("say what they miss: statistics, finite ones", async () => {
    const codec = CODECS["q4s-g32"];
    for (const quantizer of [quantizeWeighted, quantizeGptq]) {
      expect(() => quantizer(matrix, codec, { label: "blocks.0.mlp.up" })).toThrow(UserError);
      expect(() => quantizer(matrix, codec, { label: "blocks.0.mlp.up" })).toThrow(/^blocks\.0\.mlp\.up: quantizer/);
    }
    const { cols, gram } = correlatedGram(20, 1);
    await expect(prepareInput({ cols, gram: gram.with(7, Number.NaN) }, "weights")).rejects.toThrow(UserError);
    expect(await prepareInput({ cols, gram: gram.with(7, Number.NaN) }, "nothing")).toBeUndefined();
  });

  it("raise the damping where a gram is not positive definite", async () => {
    const { cols, gram } = correlatedGram(20, 1);
    const plain = await prepareInput({ cols, gram }, "factor");
    // A sum that was rounded badly: one direction is negative, by more than the damping of the first attempt.
    const input = await prepareInput({ cols, gram: gram.map((x, i) => (i === 0 ? -3 * x : x)) }, "factor");
    expect(input?.damping).toBeGreaterThan(5 * (plain?.damping ?? 0));
    expect(input?.factor?.every(Number.isFinite)).toBe(true);
  });

  it("take columns that are always 0, and inputs that are 0 altogether", async () => {
    const { cols, gram } = correlatedGram(100, 3);
    const dead = gram.map((x, i) => (i % cols === 17 || Math.floor(i / cols) === 17 ? 0 : x));
    for (const given of [dead, new Float32Array(cols * cols)]) {
      const input = await prepareInput({ cols, gram: given }, "factor");
      const codec = CODECS["q4s-g32"];
      const found = valuesOf(codec, quantizeGptq(matrix, codec, { input }));
      found.forEach((value, i) => {
        expect(Math.abs(value - matrix.data[i])).toBeLessThan(2);
      });
    }
  });
});

const FIXTURE = path.resolve("../shared/fixtures/quantizers/quant_reference.json");
const IDS = path.resolve("../shared/fixtures/scores/calibration_ids.json");
const MODEL = path.resolve("../shared/models/tinystories-656k");
const present = [FIXTURE, IDS, MODEL].every((file) => existsSync(file));
const Figure = z.object({ out_mse: z.number() });
const Reference = z.object({
  matrices: z.record(
    z.string(),
    z.object({
      cases: z.array(
        z.object({
          scheme: z.string(),
          bits: z.number(),
          rtn: Figure,
          gptq: Figure.optional(),
          gptq_static_groups: Figure.optional(),
        }),
      ),
    }),
  ),
});
const Ids = z.object({ "TinyStories-656K": z.object({ ids: z.array(z.array(z.number())) }) });
const MATRICES = [
  ["model.layers.0.self_attn.q_proj", "blocks.0.attn.q"],
  ["model.layers.0.mlp.gate_proj", "blocks.0.mlp.gate"],
  ["model.layers.1.mlp.down_proj", "blocks.1.mlp.down"],
] as const;

const engine = HAS_ADDON ? openEngine({ threads: 2 }) : null;
afterAll(() => engine?.dispose());

/** errorOf a quantizer on the engine where there is one: the same numbers, sooner. */
async function errorBy(id: QuantizerId, codecId: string, weights: DenseMatrix, input: QuantizerInput): Promise<number> {
  const codec = CODECS[codecIdOf(codecId)];
  const bytes = await packerOf(id, engine)(weights, codec, { input });
  const { rows, cols, data } = weights;
  return hessianErrorOn(engine, data, codec.unpackRows({ rows, cols, bytes }, 0, rows), input.gram, rows, cols);
}

// Needs ../shared/fixtures and ../shared/models/tinystories-656k.
describe.skipIf(!present)("gptq beside the reference figures", () => {
  it("is below plain rounding, nearest and both reference GPTQs on every matrix", async () => {
    const ids = Ids.parse(JSON.parse(readFileSync(IDS, "utf8")))["TinyStories-656K"].ids;
    const reference = Reference.parse(JSON.parse(readFileSync(FIXTURE, "utf8"))).matrices;
    const source = await openCheckpoint(MODEL);
    const sweep = await openStatisticsSweep({
      source,
      sequences: ids.map((sequence) => Int32Array.from(sequence)),
      createExecutor: executorsOf(TEST_EXECUTORS[0], "streamed"),
      engine,
    });
    const blocks = [await sweep.collect()];
    await sweep.advance();
    blocks.push(await sweep.collect());
    await sweep.close();
    let compared = 0;
    for (const [name, id] of MATRICES) {
      const input = await prepareInput(blocks[Number(id.split(".")[1])].of(id), "factor");
      if (!input) throw new Error("an input is asked for");
      const weights = denseMatrix(await source.readMatrix(id));
      for (const { scheme, bits, rtn, gptq, gptq_static_groups } of reference[name].cases) {
        if (!gptq || !gptq_static_groups) continue;
        const codec = `q${bits}${scheme === "sym" ? "s" : "a"}-g32`;
        const nearest = await errorBy("nearest", codec, weights, input);
        const found = await errorBy("gptq", codec, weights, input);
        const bar = Math.min(rtn.out_mse, nearest, gptq.out_mse, gptq_static_groups.out_mse);
        expect(found, `${id} ${codec}`).toBeLessThan(bar);
        compared++;
      }
    }
    await source.close();
    expect(compared).toBe(24);
  });
});
