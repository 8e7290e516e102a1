import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Codec, Quantized } from "../../src/codecs/codec.ts";
import { CODEC_IDS, CODECS, codecIdOf, codecOf } from "../../src/codecs/index.ts";
import { UserError } from "../../src/errors.ts";
import { roundToBf16, roundToF16 } from "../../src/tensor/half.ts";
import { sampleNumbers, valuesOf } from "./sample-numbers.ts";
import { slowValueAt } from "./slow-twin.ts";
import { withinKept } from "./within-kept.ts";

const SHAPES: readonly (readonly [number, number])[] = [
  [1, 1],
  [1, 31],
  [17, 33],
  [16, 32],
  [40, 112],
  [17, 576],
];

/** What the codec keeps of the sample numbers: floats are rounded when packed. */
function keptValues(codec: Codec, values: Float32Array): Float32Array {
  if (codec.id === "f16") return values.map(roundToF16);
  return codec.id === "bf16" ? values.map(roundToBf16) : values;
}

describe("the codec table", () => {
  it("holds each codec under its own id", () => {
    for (const id of CODEC_IDS) expect(CODECS[id].id).toBe(id);
    expect(CODEC_IDS).toEqual(expect.arrayContaining(["f32", "f16", "bf16", "q4s-g32", "q4a-g64", "q8s-row"]));
  });

  it("names the known codecs when asked for another", () => {
    expect(codecOf("q4s-g32").bits).toBe(4);
    for (const unknown of ["q7s-g32", "q6t-g32", "q4s-g128-s8", "toString", ""]) {
      expect(() => codecIdOf(unknown)).toThrow(UserError);
      expect(() => codecOf(unknown)).toThrow("codec: expected a name such as f32, ");
    }
  });

  it("marks the codecs that GGUF holds without loss", () => {
    const marked = CODEC_IDS.filter((id) => CODECS[id].gguf).map((id) => [id, CODECS[id].gguf]);
    expect(Object.fromEntries(marked)).toEqual({
      f32: "F32",
      f16: "F16",
      bf16: "BF16",
      "q4s-g32": "Q4_0",
      "q5s-g32": "Q5_0",
      "q8s-g32": "Q8_0",
      "q4a-g32": "Q4_1",
      "q5a-g32": "Q5_1",
    });
  });

  it("has levels that ascend, within int8, where a value is a scale times a level", () => {
    for (const id of CODEC_IDS) {
      const { levels, scheme, bits, scaleKind } = CODECS[id];
      expect(levels === null, id).toBe(scheme === "asymmetric" || scheme === "float");
      expect(scaleKind === null, id).toBe(scheme === "float");
      if (!levels) continue;
      expect(levels.length).toBe(2 ** bits);
      expect(levels.every((level, code) => code === 0 || level > levels[code - 1])).toBe(true);
      if (scheme === "table") expect(Math.max(...levels.map(Math.abs))).toBe(127);
    }
  });

  it("costs what its bits say", () => {
    expect(CODECS["q4s-g32"].packedBytes(576, 576)).toBe((576 * 576 * 4.5) / 8);
    expect(CODECS["q4a-g64"].packedBytes(576, 576)).toBe((576 * 576 * 4.5) / 8);
    expect(CODECS["q8s-row"].packedBytes(16, 576)).toBe(16 * 576 + 64);
    expect(CODECS["q3s-g64"].packedBytes(1, 1)).toBe(192 + 64);
    expect(CODECS["q4t-g32"].packedBytes(576, 576)).toBe((576 * 576 * 4.5) / 8);
    // 36 tiles of 18 groups: 8 bits a group, 16 a row, and 64 bytes' alignment.
    expect(CODECS["q4t-g32-s8"].packedBytes(576, 576)).toBe((576 * 576 * 4.25) / 8 + 36 * 32);
    expect(CODECS["q4a-g32-s8"].packedBytes(576, 576)).toBe((576 * 576 * 4.5) / 8 + 36 * 64);
    expect(CODECS["q4t-g32-s8"].packedParts(16, 64)).toEqual({ levels: 512, scales: 64, padding: 0 });
    expect(CODECS["q4s-g64-s8"].packedParts(16, 64)).toEqual({ levels: 512, scales: 48, padding: 16 });
    expect(CODECS.f16.packedBytes(17, 3)).toBe(2 * 128);
    // A bit for each weight, and half of the levels.
    expect(CODECS["q4s-g32-n16"].packedBytes(576, 576)).toBe((576 * 576 * 3.5) / 8);
    expect(CODECS["q3s-g32-2of4"].packedBytes(576, 576)).toBe((576 * 576 * 3) / 8);
    expect(CODECS["q8s-g32-n8"].packedParts(16, 40)).toEqual({ levels: 2 * (64 + 128), scales: 64, padding: 0 });
  });
});

describe.each(CODEC_IDS.map((id) => [id, CODECS[id]] as const))("codec %s", (id, codec) => {
  it.each(SHAPES)("round-trips %i x %i and agrees with its slow twin", (rows, cols) => {
    const numbers = sampleNumbers(codec, rows, cols);
    const bytes = codec.pack(numbers);
    const parts = codec.packedParts(rows, cols);
    expect(bytes.length).toBe(codec.packedBytes(rows, cols));
    expect(parts.levels + parts.scales + parts.padding).toBe(bytes.length);
    expect(bytes.length % 64).toBe(0);
    const values = keptValues(codec, valuesOf(codec, numbers));
    const rowsOut = codec.unpackRows({ rows, cols, bytes }, 0, rows);
    const across = codec.unpackTransposed({ rows, cols, bytes }, 0, rows);
    const slow = values.map((_, i) => slowValueAt(codec, bytes, cols, Math.floor(i / cols), i % cols));
    const back = values.map((_, i) => across[(i % cols) * rows + Math.floor(i / cols)]);
    expect(firstDifference(rowsOut, values)).toBe(-1);
    expect(firstDifference(back, values)).toBe(-1);
    expect(firstDifference(slow, values)).toBe(-1);
  });

  it("keeps every padding bit zero", () => {
    const rows = 17;
    const cols = 33;
    const numbers = sampleNumbers(codec, rows, cols);
    const packed = codec.pack(onesEverywhere(numbers, codec));
    const setBits = packed.reduce((sum, byte) => sum + bitCount(byte), 0);
    const perCode = codec.scheme === "float" ? oneBits(codec) : codec.bits;
    const numbersPerGroup = codec.scheme === "asymmetric" ? 2 : 1;
    const groups = codec.groupsPerRow(cols);
    // Two levels: the number 1 of a row is 0x3f80 in bf16, and each group's is once that.
    const bitsOfRow = codec.scaleKind === null ? 0 : codec.scaleKind === "f16" ? 4 * groups : groups + 7;
    const scaleBits = rows * numbersPerGroup * bitsOfRow;
    // A sparse codec stores as many as there is room for, each with its bit of the mask.
    const { kept } = codec;
    const stored = kept ? (kept.count * 32) / kept.of + Math.min(kept.count, 1) : cols;
    expect(setBits).toBe(rows * stored * (kept ? perCode + 1 : perCode) + scaleBits);
  });

  it("gives any range of rows, from bytes at any place", () => {
    const rows = 50;
    const cols = 65;
    const bytes = codec.pack(sampleNumbers(codec, rows, cols));
    const shifted = new Uint8Array(bytes.length + 3).subarray(3);
    shifted.set(bytes);
    const whole = codec.unpackRows({ rows, cols, bytes }, 0, rows);
    const range = fc.tuple(fc.nat(rows), fc.nat(rows)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)]);
    fc.assert(
      fc.property(range, fc.boolean(), ([from, to], aligned) => {
        const packed = { rows, cols, bytes: aligned ? bytes : shifted };
        const part = codec.unpackRows(packed, from, to);
        expect(part.length).toBe((to - from) * cols);
        expect(firstDifference(part, whole.subarray(from * cols, to * cols))).toBe(-1);
        const across = codec.unpackTransposed(packed, from, to, new Float32Array(part.length));
        const count = to - from;
        expect(across.every((x, i) => x === part[(i % count) * cols + Math.floor(i / count)])).toBe(true);
      }),
      { numRuns: 15 },
    );
  });

  it("refuses lengths and numbers that do not fit", () => {
    const numbers = sampleNumbers(codec, 3, 40);
    const bytes = codec.pack(numbers);
    expect(() => codec.unpackRows({ rows: 3, cols: 40, bytes: bytes.subarray(1) }, 0, 1)).toThrow(RangeError);
    expect(() => codec.unpackRows({ rows: 17, cols: 40, bytes }, 0, 1)).toThrow(RangeError);
    for (const [from, to] of [
      [0, 4],
      [-1, 1],
      [2, 1],
      [0.5, 1],
    ]) {
      expect(() => codec.unpackRows({ rows: 3, cols: 40, bytes }, from, to)).toThrow(RangeError);
    }
    expect(() => codec.unpackTransposed({ rows: 3, cols: 40, bytes }, 0, 3, new Float32Array(7))).toThrow(RangeError);
    for (const [rows, cols] of [
      [0, 4],
      [4, 0],
      [-1, 3],
      [1.5, 2],
      [Number.NaN, 1],
    ]) {
      expect(() => codec.packedBytes(rows, cols)).toThrow(RangeError);
      expect(() => codec.packedParts(rows, cols)).toThrow(RangeError);
    }
    expect(() => codec.pack({ ...numbers, rows: 4 })).toThrow(RangeError);
    expect(() => codec.pack({ ...numbers, cols: 41 })).toThrow(RangeError);
    if (numbers.kind === "float") {
      expect(() => codec.pack({ ...numbers, values: numbers.values.map(() => Number.NaN) })).toThrow(/finite/);
      expect(() => codec.pack(sampleNumbers(CODECS["q4s-g32"], 3, 40))).toThrow(TypeError);
      return;
    }
    if (codec.kept) {
      const everywhere = numbers.codes.map(() => 1);
      expect(() => codec.pack({ ...numbers, codes: everywhere })).toThrow(/row 0, columns from 0 on: expected at most/);
    }
    const wrongCode = numbers.codes.with(5, 2 ** codec.bits);
    if (codec.bits < 8) expect(() => codec.pack({ ...numbers, codes: wrongCode })).toThrow(RangeError);
    refusesScales(codec, numbers);
    expect(() => codec.pack({ ...numbers, minima: numbers.minima ? null : numbers.scales })).toThrow(TypeError);
    expect(() => codec.pack({ ...numbers, rowScales: numbers.rowScales ? null : numbers.scales })).toThrow(TypeError);
    expect(() => codec.pack({ ...numbers, rowMinima: numbers.rowMinima ? null : numbers.scales })).toThrow(TypeError);
    expect(() => codec.pack(sampleNumbers(CODECS.f32, 3, 40))).toThrow(TypeError);
  });

  it("states its size for any shape", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 5000 }), (rows, cols) => {
        const parts = codec.packedParts(rows, cols);
        const bytes = codec.packedBytes(rows, cols);
        expect(parts.levels + parts.scales + parts.padding).toBe(bytes);
        expect(bytes % 64).toBe(0);
        expect(codec.packedBytes(rows + 16, cols) - bytes).toBe(codec.packedBytes(16, cols));
        const share = codec.kept ? codec.kept.count / codec.kept.of : 1;
        expect(bytes * 8).toBeGreaterThanOrEqual(rows * cols * codec.bits * share);
      }),
      { numRuns: 20 },
    );
  });

  it("is what its id says", () => {
    const form = /^(?:q(\d)([sat])-(?:g(\d+)|row)(-s8)?(?:-(?:n(\d+)|(\d)of(\d)))?|b?f\d+)$/;
    const [, bits, scheme, group, scales, ofAll, count, of] = form.exec(id)!;
    const schemes: Record<string, Codec["scheme"]> = { s: "symmetric", a: "asymmetric", t: "table" };
    expect(codec.id).toBe(id);
    expect(codec.bits).toBe(Number(bits ?? id.replace(/^b?f/, "")));
    expect(codec.scheme).toBe(bits ? schemes[scheme] : "float");
    expect(codec.group).toBe(group ? Number(group) : null);
    expect(codec.scaleKind).toBe(bits ? (scales ? "two-level" : "f16") : null);
    expect(codec.kept).toEqual(
      ofAll ? { count: Number(ofAll), of: 32 } : count ? { count: Number(count), of: Number(of) } : null,
    );
  });
});

/** Scales that the codec cannot hold, or whose rows' numbers do not fit. */
function refusesScales(codec: Codec, numbers: Extract<Quantized, { kind: "integer" }>): void {
  const { scales, rowScales } = numbers;
  const unfit = rowScales ? /multiple/ : /f16/;
  for (const scale of [0.1, 70000, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => codec.pack({ ...numbers, scales: scales.with(0, scale) })).toThrow(unfit);
  }
  if (!rowScales) return;
  expect(() => codec.pack({ ...numbers, rowScales: rowScales.with(0, 0) })).toThrow(unfit);
  expect(() => codec.pack({ ...numbers, rowScales: rowScales.with(0, 1 / 3) })).toThrow(/bf16/);
  expect(() => codec.pack({ ...numbers, rowScales: rowScales.with(0, Number.NaN) })).toThrow(/bf16/);
  expect(() => codec.pack({ ...numbers, rowScales: rowScales.subarray(1) })).toThrow(RangeError);
  expect(() => codec.pack({ ...numbers, scales: scales.with(0, 128 * rowScales[0]) })).toThrow(unfit);
}

/** Index of the first number that differs; -1 when none does. Zeros of both signs are the same number here. */
function firstDifference(found: Float32Array, expected: Float32Array): number {
  return found.length === expected.length ? found.findIndex((x, i) => x !== expected[i]) : 0;
}

/** All codes at their highest, scales and minima 1 (4 bits of f16 set: 0x3c00), values 1. */
function onesEverywhere(numbers: ReturnType<typeof sampleNumbers>, codec: Codec): ReturnType<typeof sampleNumbers> {
  if (numbers.kind === "float") return { ...numbers, values: numbers.values.map(() => 1) };
  return {
    ...numbers,
    codes: withinKept(
      codec,
      numbers.codes.map(() => 2 ** codec.bits - 1),
      numbers.cols,
    ),
    scales: numbers.scales.map(() => 1),
    minima: numbers.minima?.map(() => 1) ?? null,
    rowScales: numbers.rowScales?.map(() => 1) ?? null,
    rowMinima: numbers.rowMinima?.map(() => 1) ?? null,
  };
}

/** Set bits of the number 1: 0x3f800000, 0x3f80, 0x3c00. */
const oneBits = (codec: Codec) => (codec.id === "f16" ? 4 : 7);
const bitCount = (byte: number) => byte.toString(2).replaceAll("0", "").length;
