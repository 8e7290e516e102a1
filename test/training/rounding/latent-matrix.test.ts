import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CODECS, type CodecId } from "../../../src/codecs/index.ts";
import { type IntegerNumbers, unpackNumbers } from "../../../src/codecs/integer-numbers.ts";
import { levelFormOf } from "../../../src/maths/level-form.ts";
import { plainMaths } from "../../../src/maths/plain/plain-maths.ts";
import type { DenseMatrix } from "../../../src/model/weight-source.ts";
import { nearest } from "../../../src/quantization/nearest.ts";
import { Random } from "../../../src/tensor/random.ts";
import { LatentMatrix } from "../../../src/training/rounding/latent-matrix.ts";

const LEARNED: readonly CodecId[] = [
  "q2t-g32-s8",
  "q3t-g64",
  "q4t-g32-s8",
  "q5t-row",
  "q6s-g32-s8",
  "q3a-g32",
  "q4a-g32-s8",
  "q2s-g128",
];
const RATES = { rounding: 0.2, scale: 0.05, vector: 0 };

function normals(rows: number, cols: number, seed: number): DenseMatrix {
  const random = new Random(seed);
  return { kind: "dense", rows, cols, data: Float32Array.from({ length: rows * cols }, () => random.nextNormal()) };
}

async function numbersOf(original: DenseMatrix, id: CodecId): Promise<IntegerNumbers> {
  const numbers = await nearest.quantize(plainMaths, original, CODECS[id]);
  if (numbers.kind !== "integer") throw new Error("expected codes");
  return numbers;
}

function latentOf(original: DenseMatrix, numbers: IntegerNumbers, id: CodecId): LatentMatrix {
  const codec = CODECS[id];
  return new LatentMatrix({ numbers, original, form: levelFormOf(codec), group: codec.group ?? 0 });
}

/** What a reader of the packed matrix gets, [cols, rows]. */
function readBack(numbers: IntegerNumbers, id: CodecId): Float32Array {
  const { rows, cols } = numbers;
  return CODECS[id].unpackTransposed({ rows, cols, bytes: CODECS[id].pack(numbers) }, 0, rows);
}

describe("LatentMatrix", () => {
  it("begins with the quantizer's own codes and scales, wherever the original weights lie", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...LEARNED),
        fc.integer({ min: 1, max: 19 }),
        fc.integer({ min: 1, max: 70 }),
        fc.nat(),
        async (id, rows, cols, seed) => {
          const original = normals(rows, cols, seed);
          const numbers = await numbersOf(original, id);
          // Codes that no rounding of these weights gives, as a quantizer with error compensation leaves some.
          const random = new Random(seed + 1);
          const codes = numbers.codes.map((code) =>
            random.next() < 0.2 ? random.nextInt(2 ** CODECS[id].bits) : code,
          );
          const latent = latentOf(original, { ...numbers, codes }, id);
          expect(latent.numbers()).toEqual({ ...numbers, codes });
          expect(latent.values).toEqual(readBack({ ...numbers, codes }, id));
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each(LEARNED)("stays packable after any steps, and its values are a reader's: %s", async (id) => {
    const original = normals(9, 66, 5);
    const latent = latentOf(original, await numbersOf(original, id), id);
    const before = latent.values.slice();
    for (let step = 0; step < 6; step++) latent.step(normals(66, 9, 20 + step).data, RATES);
    const numbers = latent.numbers();
    expect(latent.values).toEqual(readBack(numbers, id));
    const again = unpackNumbers(CODECS[id], { rows: 9, cols: 66, bytes: CODECS[id].pack(numbers) }, 0, 9);
    expect(again.codes).toEqual(numbers.codes);
    expect(again.scales).toEqual(numbers.scales);
    expect(latent.values).not.toEqual(before);
  });

  it("moves no code by more than one", async () => {
    const original = normals(8, 64, 6);
    const numbers = await numbersOf(original, "q4t-g32-s8");
    const latent = latentOf(original, numbers, "q4t-g32-s8");
    const pull = new Float32Array(8 * 64).map((_, i) => (i % 2 === 0 ? 1 : -1));
    for (let step = 0; step < 40; step++) latent.step(pull, { rounding: 0.1, scale: 0, vector: 0 });
    const moved = [...latent.numbers().codes].map((code, i) => Math.abs(code - numbers.codes[i]));
    expect(Math.max(...moved)).toBe(1);
  });

  it("comes nearer to a target by the gradient of its squared distance, by codes alone and by scales alone", async () => {
    const original = normals(8, 64, 7);
    const target = normals(64, 8, 8).data;
    for (const rates of [
      { rounding: 0.05, scale: 0, vector: 0 },
      { rounding: 0, scale: 0.01, vector: 0 },
    ]) {
      const latent = latentOf(original, await numbersOf(original, "q3t-g32-s8"), "q3t-g32-s8");
      const distance = () => latent.values.reduce((sum, value, i) => sum + (value - target[i]) ** 2, 0);
      const before = distance();
      for (let step = 0; step < 10; step++)
        latent.step(
          latent.values.map((value, i) => value - target[i]),
          rates,
        );
      expect(distance()).toBeLessThan(0.98 * before);
    }
  });

  it("leaves a group of zeros alone", async () => {
    const original: DenseMatrix = { kind: "dense", rows: 2, cols: 32, data: new Float32Array(64) };
    const latent = latentOf(original, await numbersOf(original, "q4t-g32-s8"), "q4t-g32-s8");
    latent.step(normals(32, 2, 9).data, RATES);
    expect(latent.values.every((value) => value === 0)).toBe(true);
  });
});
