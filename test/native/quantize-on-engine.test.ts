import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CODECS } from "../../src/codecs/index.ts";
import type { DenseMatrix } from "../../src/model/weight-source.ts";
import type { NativeEngine } from "../../src/native/addon.ts";
import { codecForm } from "../../src/native/codec-form.ts";
import { quantizeGptq, quantizeGptqOn } from "../../src/quantization/gptq.ts";
import { hessianError, hessianErrorOn } from "../../src/quantization/hessian-error.ts";
import { quantizeNearest, quantizeNearestOn } from "../../src/quantization/nearest.ts";
import { packerOf } from "../../src/quantization/packer.ts";
import { type InputGram, prepareInput } from "../../src/quantization/quantizer-input.ts";
import { quantizeWeighted, quantizeWeightedOn } from "../../src/quantization/weighted.ts";
import { sampleNumbers } from "../codecs/sample-numbers.ts";
import { ADDON_STATE, EVERY_CODEC, engineOf, HAS_ADDON, INTEGER_CODECS, ISAS, normals } from "./engines.ts";

const machines = (): readonly NativeEngine[] => [
  ...ISAS.map((isa) => engineOf(isa)),
  engineOf(ISAS[ISAS.length - 1], 3),
];

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

/** Numbers of rows that are no bf16, and scales and minima that are no multiples of them. */
async function refusesTwoLevels(engine: NativeEngine): Promise<void> {
  const codec = CODECS["q4a-g32-s8"];
  const numbers = sampleNumbers(codec, 3, 40);
  if (numbers.kind !== "integer" || !numbers.rowScales || !numbers.minima || !numbers.rowMinima)
    throw new Error("q4a-g32-s8 has both");
  const { rowScales, rowMinima, scales, minima } = numbers;
  const out = new Uint8Array(codec.packedBytes(3, 40));
  const pack = (change: object) => engine.offline.pack(codecForm(codec), { ...numbers, ...change }, out);
  await pack({});
  await expect(pack({ scales: scales.with(2, 0.1) })).rejects.toThrow(/scale that is no multiple of its row's at 2/);
  await expect(pack({ scales: scales.with(2, 128 * rowScales[1]) })).rejects.toThrow(/scale .* multiple .* at 2/);
  await expect(pack({ minima: minima.with(3, Number.NaN) })).rejects.toThrow(/minimum .* multiple .* at 3/);
  await expect(pack({ rowScales: rowScales.with(1, 1 / 3) })).rejects.toThrow(/row scale .* bf16 number at 1/);
  await expect(pack({ rowMinima: rowMinima.with(2, Number.NaN) })).rejects.toThrow(/row minimum .* bf16 number at 2/);
  expect(() => pack({ rowScales: null })).toThrow(/rowScales/);
}

describe.skipIf(!HAS_ADDON)(`quantizing on the engine (${ADDON_STATE})`, () => {
  it.each(INTEGER_CODECS)("chooses the numbers of the TypeScript search: $id", async ({ codec }) => {
    for (const [rows, cols] of [
      [1, 1],
      [3, 31],
      [17, 33],
      [33, 131],
      [5, 300],
    ]) {
      const matrix = dense(rows, cols, weights(rows, cols, `${codec.id} ${rows}`));
      const expected = quantizeNearest(matrix, codec);
      for (const engine of machines()) expect(await quantizeNearestOn(engine, matrix, codec)).toEqual(expected);
    }
  });

  const forms = INTEGER_CODECS.filter(({ id }) => /-(g32|g32-s8|row)$/.test(id));
  it.each(forms)("chooses the numbers of weighted and gptq: $id", async ({ codec }) => {
    for (const [rows, cols] of [
      [3, 31],
      [17, 140],
    ]) {
      const matrix = dense(rows, cols, weights(rows, cols, `${codec.id} ${rows}`));
      const input = await prepareInput(gramOf(cols, codec.id), "factor");
      const nearest = quantizeNearest(matrix, codec);
      const weighted = quantizeWeighted(matrix, codec, { input });
      const gptq = quantizeGptq(matrix, codec, { input });
      if (rows > 3) expect(weighted).not.toEqual(nearest);
      if (rows > 3) expect(gptq).not.toEqual(weighted);
      for (const engine of machines()) {
        expect(await quantizeWeightedOn(engine, matrix, codec, { input })).toEqual(weighted);
        expect(await quantizeGptqOn(engine, matrix, codec, { input })).toEqual(gptq);
      }
    }
  });

  it("prepares inputs to the same numbers", async () => {
    const gram = gramOf(140, "inputs");
    const expected = await prepareInput(gram, "factor");
    for (const engine of machines()) expect(await prepareInput(gram, "factor", { engine })).toEqual(expected);
  });

  it("measures the error of quantized weights to 5 digits", async () => {
    const [rows, cols] = [300, 70];
    const [w, values] = [normals(rows * cols, "w"), normals(rows * cols, "values")];
    const { gram } = gramOf(cols, "error");
    const expected = hessianError(w, values, gram, rows, cols);
    const found = await Promise.all(machines().map((engine) => hessianErrorOn(engine, w, values, gram, rows, cols)));
    expect(new Set(found).size).toBe(1);
    expect(Math.abs(found[0] / expected - 1)).toBeLessThan(1e-5);
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
        const expected = quantizeNearest(matrix, codec);
        for (const engine of machines()) expect(await quantizeNearestOn(engine, matrix, codec)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it.each(EVERY_CODEC)("packs the bytes of Codec.pack: $id", async ({ codec }) => {
    for (const [rows, cols] of [
      [1, 1],
      [16, 32],
      [17, 33],
      [70, 100],
      [31, 200],
    ]) {
      const numbers = sampleNumbers(codec, rows, cols);
      const expected = codec.pack(numbers);
      for (const engine of machines()) {
        const out = new Uint8Array(expected.length).fill(255);
        await engine.offline.pack(codecForm(codec), numbers, out);
        expect(Buffer.compare(out, expected), `${rows} x ${cols}`).toBe(0);
      }
    }
  });

  it("refuses what Codec.pack refuses", async () => {
    const [engine] = machines();
    const q4 = CODECS["q4s-g32"];
    const numbers = sampleNumbers(q4, 3, 40);
    if (numbers.kind !== "integer") throw new Error("q4 has codes");
    const out = new Uint8Array(q4.packedBytes(3, 40));
    const pack = (change: object) => engine.offline.pack(codecForm(q4), { ...numbers, ...change }, out);
    await pack({});
    await expect(pack({ codes: numbers.codes.with(41, 16) })).rejects.toThrow(/code out of range at 41/);
    await expect(pack({ scales: numbers.scales.with(2, 0.1) })).rejects.toThrow(/f16 number at 2/);
    await expect(pack({ scales: numbers.scales.with(5, Number.POSITIVE_INFINITY) })).rejects.toThrow(/at 5/);
    await refusesTwoLevels(engine);
    const values = new Float32Array(120).with(77, 1e30);
    const half = { rows: 3, cols: 40, values };
    const room = new Uint8Array(CODECS.f16.packedBytes(3, 40));
    await expect(engine.offline.pack(codecForm(CODECS.f16), half, room)).rejects.toThrow(/not finite as stored at 77/);
    await expect(engine.offline.pack(codecForm(CODECS.f16), half, room)).rejects.toThrow(RangeError);
  });

  it("gives the TypeScript errors, with the first bad row", async () => {
    const data = weights(200, 64, "large");
    data[150 * 64 + 3] = 1e38;
    data[120 * 64 + 40] = -1e38;
    const matrix = dense(200, 64, data);
    const options = { label: "blocks.3.mlp.up", firstRow: 1000 };
    for (const codec of [CODECS["q4s-g32"], CODECS["q4a-g32"], CODECS.f16]) {
      for (const engine of machines()) {
        const packer = packerOf("nearest", engine);
        await expect(packer(matrix, codec, options)).rejects.toThrow(/^blocks\.3\.mlp\.up: row 1120: expected/);
      }
    }
    const broken = dense(2, 32, new Float32Array(64).with(40, Number.NaN));
    await expect(packerOf("nearest", machines()[0])(broken, CODECS["q4s-g32"])).rejects.toThrow(/found NaN at row 1/);
  });

  it("is what packerOf does, by name, by function and for foreign quantizers", async () => {
    const matrix = dense(40, 96, weights(40, 96, "packer"));
    for (const codec of [CODECS["q3a-g64"], CODECS["q8s-row"], CODECS.bf16, CODECS.f32]) {
      const expected = await packerOf("nearest")(matrix, codec);
      expect(Buffer.compare(expected, codec.pack(quantizeNearest(matrix, codec)))).toBe(0);
      const foreign: typeof quantizeNearest = (given, by, options) => quantizeNearest(given, by, options);
      for (const quantizer of ["nearest", quantizeNearest, foreign] as const) {
        for (const engine of machines()) {
          expect(Buffer.compare(await packerOf(quantizer, engine)(matrix, codec), expected)).toBe(0);
        }
      }
    }
  });
});
