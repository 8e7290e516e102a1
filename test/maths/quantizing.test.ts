import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CODECS } from "../../src/codecs/index.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import type { DenseMatrix } from "../../src/model/weight-source.ts";
import { gptq } from "../../src/quantization/gptq.ts";
import { nearest } from "../../src/quantization/nearest.ts";
import { packerOf } from "../../src/quantization/packer.ts";
import type { Quantizer } from "../../src/quantization/quantizer.ts";
import { type InputGram, prepareInput } from "../../src/quantization/quantizer-input.ts";
import { weighted } from "../../src/quantization/weighted.ts";
import { sampleNumbers } from "../codecs/sample-numbers.ts";
import { ADDON_STATE, EVERY_CODEC, HAS_ADDON, INTEGER_CODECS, normals } from "../native/engines.ts";
import { expectSame } from "../support/expect-same.ts";
import { NATIVES, sameOnAll } from "./all-maths.ts";

const dense = (rows: number, cols: number, data: Float32Array): DenseMatrix => ({ kind: "dense", rows, cols, data });

/** Inputs with common causes, some columns always 0. */
function gramOf(cols: number, name: string): InputGram {
  const [samples, causes] = [2 * cols + 8, 4];
  const [mix, hidden, noise] = [
    normals(causes * cols, `${name} mix`),
    normals(samples * causes, name),
    normals(cols, "n"),
  ];
  const gram = new Float64Array(cols * cols);
  const x = new Float64Array(cols);
  for (let s = 0; s < samples; s++) {
    for (let i = 0; i < cols; i++) {
      x[i] = i % 29 === 7 ? 0 : 0.5 * noise[(i * 7 + s) % cols];
      if (x[i] !== 0) for (let c = 0; c < causes; c++) x[i] += hidden[s * causes + c] * mix[c * cols + i];
    }
    for (let i = 0; i < cols; i++) for (let j = 0; j < cols; j++) gram[i * cols + j] += (x[i] * x[j]) / samples;
  }
  return { cols, gram: Float32Array.from(gram) };
}

/** Weights as they come: heavy tails, zeros of both signs, groups of one number or of zeros only, tiny ones. */
function weights(rows: number, cols: number, name: string): Float32Array {
  const x = normals(rows * cols, name, 0.05);
  return x.map((value, i) => {
    const kind = Math.floor(i / 37) % 9;
    if (kind === 3) return 0;
    if (kind === 4) return -0;
    if (kind === 5) return 0.25;
    if (kind === 6) return Math.abs(value) + 1;
    if (kind === 7) return value * 1e-6;
    return i % 50 === 0 ? value * 20 : value;
  });
}

describe.skipIf(!HAS_ADDON)(`quantizing by all maths (${ADDON_STATE})`, () => {
  it.each(INTEGER_CODECS)("chooses the numbers of the TypeScript search: $id", async ({ codec }) => {
    for (const [rows, cols] of [
      [1, 1],
      [3, 31],
      [17, 33],
      [33, 131],
      [5, 300],
    ]) {
      const matrix = dense(rows, cols, weights(rows, cols, `${codec.id} ${rows}`));
      const expected = await nearest.quantize(plainMaths, matrix, codec);
      for (const { maths } of NATIVES) expectSame(await nearest.quantize(maths, matrix, codec), expected);
    }
  });

  const forms = INTEGER_CODECS.filter(({ id }) => /-(g32|g32-s8|row|n8|n24|2of4)$/.test(id));
  it.each(forms)("chooses the numbers of weighted and gptq: $id", async ({ codec }) => {
    for (const [rows, cols] of [
      [3, 31],
      [17, 140],
    ]) {
      const matrix = dense(rows, cols, weights(rows, cols, `${codec.id} ${rows}`));
      const input = await prepareInput(plainMaths, gramOf(cols, codec.id), "factor");
      const unweighted = await nearest.quantize(plainMaths, matrix, codec);
      const byWeights = await weighted.quantize(plainMaths, matrix, codec, { input });
      const compensated = await gptq.quantize(plainMaths, matrix, codec, { input });
      if (rows > 3) expect(byWeights).not.toEqual(unweighted);
      if (rows > 3) expect(compensated).not.toEqual(byWeights);
      for (const { maths } of NATIVES) {
        expectSame(await weighted.quantize(maths, matrix, codec, { input }), byWeights);
        expectSame(await gptq.quantize(maths, matrix, codec, { input }), compensated);
      }
    }
  });

  it("prepares inputs to the same numbers", async () => {
    const gram = gramOf(140, "inputs");
    const expected = await prepareInput(plainMaths, gram, "factor");
    for (const { maths } of NATIVES) expectSame(await prepareInput(maths, gram, "factor"), expected);
  });

  it("does so for any numbers", async () => {
    const value = fc.oneof(
      fc.float({ noNaN: true, min: -1000, max: 1000 }),
      fc.constantFrom(0, -0, 1, -1, 0.5, 2 ** -140, -(2 ** -126), 60000),
    );
    const codecs = fc.constantFrom(...INTEGER_CODECS.map(({ codec }) => codec));
    await fc.assert(
      fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 150 }), codecs, async (numbers, codec) => {
        const matrix = dense(1, numbers.length, Float32Array.from(numbers));
        const expected = await nearest.quantize(plainMaths, matrix, codec);
        for (const { maths } of NATIVES) expectSame(await nearest.quantize(maths, matrix, codec), expected);
      }),
      { numRuns: 300 },
    );
  });

  it.each(EVERY_CODEC)("packs to the same bytes: $id", async ({ codec }) => {
    for (const [rows, cols] of [
      [1, 1],
      [17, 33],
      [70, 100],
    ]) {
      const numbers = sampleNumbers(codec, rows, cols);
      expectSame(await sameOnAll((maths) => maths.pack(codec, numbers)), codec.pack(numbers));
    }
  });

  it("gives the TypeScript errors, with the first bad row", async () => {
    const data = weights(200, 64, "large");
    data[150 * 64 + 3] = 1e38;
    data[120 * 64 + 40] = -1e38;
    const matrix = dense(200, 64, data);
    const options = { label: "blocks.3.mlp.up", firstRow: 1000 };
    for (const codec of [CODECS["q4s-g32"], CODECS["q4a-g32"], CODECS.f16]) {
      for (const { maths } of NATIVES) {
        const packer = packerOf(maths, "nearest");
        await expect(packer(matrix, codec, options)).rejects.toThrow(/^blocks\.3\.mlp\.up: row 1120: expected/);
      }
    }
    const broken = dense(2, 32, new Float32Array(64).with(40, Number.NaN));
    await expect(packerOf(NATIVES[0].maths, "nearest")(broken, CODECS["q4s-g32"])).rejects.toThrow(
      /found NaN at row 1/,
    );
  });

  it("is what packerOf does, by name, by itself and for foreign quantizers", async () => {
    const matrix = dense(40, 96, weights(40, 96, "packer"));
    for (const codec of [CODECS["q3a-g64"], CODECS["q8s-row"], CODECS.bf16, CODECS.f32]) {
      const expected = await packerOf(plainMaths, "nearest")(matrix, codec);
      expect(Buffer.compare(expected, codec.pack(await nearest.quantize(plainMaths, matrix, codec)))).toBe(0);
      const foreign: Quantizer = { ...nearest, quantize: (...given) => nearest.quantize(...given) };
      for (const quantizer of ["nearest", nearest, foreign] as const) {
        for (const { maths } of NATIVES) {
          expect(Buffer.compare(await packerOf(maths, quantizer)(matrix, codec), expected)).toBe(0);
        }
      }
    }
  });
});
