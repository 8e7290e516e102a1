import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Codec, Quantized } from "../../src/codecs/codec.ts";
import { CODEC_IDS, CODECS, codecIdOf } from "../../src/codecs/index.ts";
import { UserError } from "../../src/errors.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import type { DenseMatrix } from "../../src/model/weight-source.ts";
import { nearest } from "../../src/quantization/nearest.ts";
import type { QuantizeOptions } from "../../src/quantization/quantizer.ts";
import { roundToF16 } from "../../src/tensor/half.ts";
import { Random } from "../../src/tensor/random.ts";
import { largestKept } from "../codecs/largest-kept.ts";
import { exactValuesOf, valuesOf } from "../codecs/sample-numbers.ts";

const INTEGER_IDS = CODEC_IDS.filter((id) => CODECS[id].scheme !== "float" && !CODECS[id].kept);
const SPARSE_IDS = CODEC_IDS.filter((id) => CODECS[id].kept);
/** Codecs that hold the scales of plain rounding, 0 and the numbers that their extremes stand for. */
const PLAIN_IDS = INTEGER_IDS.filter((id) => CODECS[id].scheme !== "table" && CODECS[id].scaleKind === "f16");

function matrixOf(rows: number, cols: number, draw: (i: number) => number): DenseMatrix {
  return { kind: "dense", rows, cols, data: Float32Array.from({ length: rows * cols }, (_, i) => draw(i)) };
}

/** Squared error of each group: [rows, groups]. */
function groupErrors(codec: Codec, matrix: DenseMatrix, values: ArrayLike<number>): number[] {
  const groups = codec.groupsPerRow(matrix.cols);
  const errors = new Array<number>(matrix.rows * groups).fill(0);
  matrix.data.forEach((x, i) => {
    const group = Math.floor((i % matrix.cols) / (codec.group ?? matrix.cols));
    errors[Math.floor(i / matrix.cols) * groups + group] += (values[i] - x) ** 2;
  });
  return errors;
}

/** Slow twin without a search: rounding under the group's largest magnitude, or from its least to its most. */
function plainValues(codec: Codec, { rows, cols, data }: DenseMatrix): Float64Array {
  const out = new Float64Array(data.length);
  const groupCols = codec.group ?? cols;
  for (let row = 0; row < rows; row++) {
    for (let from = row * cols; from < (row + 1) * cols; from += groupCols) {
      const to = Math.min(from + groupCols, (row + 1) * cols);
      const group = [...data.subarray(from, to)];
      const half = 2 ** (codec.bits - 1);
      const low = Math.min(...group);
      const symmetric = codec.scheme === "symmetric";
      const scale = roundToF16(
        symmetric ? Math.max(...group.map(Math.abs)) / (half - 1) : (Math.max(...group) - low) / (2 * half - 1),
      );
      const offset = symmetric ? 0 : roundToF16(low);
      const [least, most] = symmetric ? [-half, half - 1] : [0, 2 * half - 1];
      group.forEach((x, i) => {
        const level = scale === 0 ? 0 : Math.min(most, Math.max(least, Math.round((x - offset) / scale)));
        out[from + i] = scale * level + offset;
      });
    }
  }
  return out;
}

const weights = fc.oneof(
  fc.float({ min: -4, max: 4, noNaN: true }),
  fc.constantFrom(0, 0, 1, -1, 0.5, 1e-6, -1e-7, 1e-30, 300, -1000),
);

const quantizeNearest = (matrix: DenseMatrix, codec: Codec, options?: QuantizeOptions) =>
  nearest.quantize(plainMaths, matrix, codec, options);

describe("nearest", () => {
  it.each(PLAIN_IDS)("%s: never leaves a group a larger error than plain rounding", async (id) => {
    const codec = CODECS[id];
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 70 }),
        fc.array(weights, { minLength: 140, maxLength: 140 }),
        async (cols, list) => {
          const matrix = matrixOf(2, cols, (i) => list[i]);
          const found = groupErrors(codec, matrix, exactValuesOf(codec, await quantizeNearest(matrix, codec)));
          const plain = groupErrors(codec, matrix, plainValues(codec, matrix));
          const worse = found.filter((error, g) => error > plain[g] * (1 + 1e-9) + 1e-24);
          expect(worse).toEqual([]);
        },
      ),
      { numRuns: 25 },
    );
  });

  it.each(INTEGER_IDS)("%s: every code is the nearest under its scale, and packs", async (id) => {
    const codec = CODECS[id];
    const random = new Random(5);
    const matrix = matrixOf(9, 150, () => random.nextNormal());
    const found = await quantizeNearest(matrix, codec);
    if (found.kind !== "integer") throw new Error("expected codes");
    expect(codec.pack(found).length).toBe(codec.packedBytes(9, 150));
    const best = valuesOf(codec, found);
    for (const step of [-1, 1]) {
      const codes = found.codes.map((code) => Math.max(0, Math.min(2 ** codec.bits - 1, code + step)));
      const other = valuesOf(codec, { ...found, codes });
      const worse = matrix.data.findIndex((x, i) => Math.abs(other[i] - x) < Math.abs(best[i] - x) * (1 - 1e-5) - 1e-7);
      expect(worse).toBe(-1);
    }
  });

  it.each(SPARSE_IDS)("%s: is what the dense codec makes of the largest weights of each run", async (id) => {
    const codec: Codec = CODECS[id];
    const { kept } = codec;
    if (!kept) throw new Error("expected a sparse codec");
    const random = new Random(6);
    // Many of the same magnitude, of which the first stay.
    const matrix = matrixOf(5, 75, () => Math.round(4 * random.nextNormal()));
    const largest = largestKept(matrix.data, 75, kept);
    const dense = CODECS[codecIdOf(id.replace(/-[^-]+$/, ""))];
    const found = await quantizeNearest(matrix, codec);
    expect(found).toEqual(await quantizeNearest({ ...matrix, data: largest }, dense));
    expect(codec.pack(found).length).toBe(codec.packedBytes(5, 75));
  });

  it("gains what a search should on normal weights", async () => {
    const random = new Random(11);
    const matrix = matrixOf(64, 512, () => random.nextNormal());
    const relative = (id: keyof typeof CODECS, numbers: Quantized) =>
      groupErrors(CODECS[id], matrix, valuesOf(CODECS[id], numbers)).reduce((a, b) => a + b) /
      matrix.data.reduce((sum, x) => sum + x * x, 0);
    // A search over 600 scales a group leaves 0.00654 (4 bits) and 0.1101 (2 bits).
    expect(relative("q4s-g32", await quantizeNearest(matrix, CODECS["q4s-g32"]))).toBeLessThan(0.0067);
    expect(relative("q2s-g32", await quantizeNearest(matrix, CODECS["q2s-g32"]))).toBeLessThan(0.112);
    expect(relative("q4a-g32", await quantizeNearest(matrix, CODECS["q4a-g32"]))).toBeLessThan(0.0053);
  });

  it("uses the negative scale where the extreme is positive", async () => {
    const matrix = matrixOf(1, 32, (i) => (i === 0 ? 8 : -(i % 8)));
    const found = await quantizeNearest(matrix, CODECS["q4s-g32"]);
    expect(valuesOf(CODECS["q4s-g32"], found)).toEqual(matrix.data);
  });

  it.each(PLAIN_IDS)("%s: keeps zeros and constants", async (id) => {
    const codec = CODECS[id];
    for (const constant of [0, 1, -0.5]) {
      const values = valuesOf(
        codec,
        await quantizeNearest(
          matrixOf(2, 40, () => constant),
          codec,
        ),
      );
      for (const value of values) expect(Math.abs(value - constant)).toBeLessThanOrEqual(Math.abs(constant) / 500);
    }
  });

  it("treats each row by itself", async () => {
    const random = new Random(3);
    const matrix = matrixOf(6, 100, () => random.nextNormal());
    for (const id of ["q4s-g32", "q3a-g64", "q8s-row"] as const) {
      const whole = valuesOf(CODECS[id], await quantizeNearest(matrix, CODECS[id]));
      const part = { ...matrix, rows: 2, data: matrix.data.slice(200, 400) };
      expect(valuesOf(CODECS[id], await quantizeNearest(part, CODECS[id]))).toEqual(whole.slice(200, 400));
    }
  });

  it("names weights that are not finite", async () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const matrix = matrixOf(3, 40, (i) => (i === 45 ? bad : 1));
      for (const id of ["q4s-g32", "q4a-row", "f16", "f32"] as const) {
        const quantize = () => quantizeNearest(matrix, CODECS[id], { label: "blocks.3.mlp.up", firstRow: 100 });
        await expect(quantize).rejects.toThrow(UserError);
        await expect(quantize).rejects.toThrow(/blocks\.3\.mlp\.up: .*row 101, column 5 \(1 in 3 rows\)/);
      }
    }
  });

  it("names weights that f16 scales or 16-bit floats cannot reach", async () => {
    const matrix = matrixOf(1, 32, (i) => (i === 3 ? 3e7 : 0));
    for (const id of ["q4s-g32", "q8s-g32", "q4a-g32", "f16"] as const) {
      await expect(quantizeNearest(matrix, CODECS[id], { label: "head" })).rejects.toThrow(/^head: row 0: .*found/);
    }
    for (const id of ["bf16", "f32"] as const) expect((await quantizeNearest(matrix, CODECS[id])).kind).toBe("float");
    const largest = matrixOf(1, 1, () => 65504);
    const reached = await quantizeNearest(largest, CODECS.f16);
    expect(() => CODECS.f16.pack(reached)).not.toThrow();
    const beyond = matrixOf(1, 1, () => 3.3999e38);
    await expect(quantizeNearest(beyond, CODECS.bf16)).rejects.toThrow(UserError);
    expect(
      valuesOf(
        CODECS["q8s-g32"],
        await quantizeNearest(
          matrixOf(1, 32, () => 8e6),
          CODECS["q8s-g32"],
        ),
      )[0],
    ).toBeGreaterThan(7.9e6);
  });
});
