import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CODECS } from "../../../src/codecs/index.ts";
import { unpackNumbers } from "../../../src/codecs/integer-numbers.ts";
import { blockValues, decodeBlocks, encodeBlocks, type GgufBlockType } from "../../../src/formats/gguf/blocks.ts";
import { roundToF16 } from "../../../src/tensor/half.ts";
import { sampleNumbers } from "../../codecs/sample-numbers.ts";

/**
 * Blocks made by the gguf package of Python (gguf.quants) from sin(1.7 i) * 3 + 0.25, i = 0 … 31, and its values of
 * some of them.
 */
const GOLDEN: readonly {
  type: GgufBlockType;
  hex: string;
  values: Readonly<Record<number, number>>;
}[] = [
  {
    type: "Q4_0",
    hex: "80b617c0d92e34e1ad0c71f46e08b0d82f35",
    values: { 0: 0.40625, 1: 3.25, 2: -0.40625, 11: 0, 15: 1.21875, 16: 2.84375, 31: 2.03125 },
  },
  {
    type: "Q4_1",
    hex: "63367ac1e73f26d1bb1d52f38e0a90f64f17d0ca",
    values: { 0: 0.055908203125, 1: 3.249267578125, 15: 1.25341796875, 16: 2.85009765625, 31: 2.0517578125 },
  },
  {
    type: "Q5_0",
    hex: "80b2cc6c66322f70a33c77c33908e2d9cd1160b05d59",
    values: { 0: 0.203125, 1: 3.25, 2: -0.609375, 15: 1.421875, 16: 2.84375, 31: 2.234375 },
  },
  {
    type: "Q5_1",
    hex: "2e327ac1329399cddf6f4cb1871cb5f60d0631ed8f3ea0a5",
    values: { 0: 0.158447265625, 1: 3.248291015625, 15: 1.317138671875, 16: 2.862060546875, 31: 2.28271484375 },
  },
  {
    type: "Q8_0",
    hex: "8d260a7eec9d4467b8c16f3899f87ffd983471c5b464489fe77d0f952378d4a95856",
    values: { 0: 0.255889892578125, 1: 3.224212646484375, 2: -0.51177978515625, 31: 2.200653076171875 },
  },
];

/** With +0 for -0: a code in the middle is +0 or -0 by the sign of the scale, and +0 in our codecs. */
const plainZeros = (values: Float32Array) => values.map((x) => x + 0);

describe.each(GOLDEN)("$type", ({ type, hex, values }) => {
  test("blocks of another program have its values, and are written byte for byte", () => {
    const bytes = Uint8Array.from(Buffer.from(hex, "hex"));
    const numbers = decodeBlocks(type, bytes);
    expect(numbers.codes.length).toBe(32);
    const found = plainZeros(blockValues(type, numbers));
    for (const [i, value] of Object.entries(values)) expect(found[Number(i)]).toBe(value);
    expect(Buffer.from(encodeBlocks(type, numbers)).toString("hex")).toBe(hex);
  });

  test("a codec's numbers come back from blocks, and mean the same values", () => {
    const codec = Object.values(CODECS).find(({ gguf }) => gguf === type);
    if (!codec) throw new Error(`no codec is marked ${type}`);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer(),
        (rows, blocks, seed) => {
          const cols = 32 * blocks;
          const packed = { rows, cols, bytes: codec.pack(sampleNumbers(codec, rows, cols, seed)) };
          const { codes, scales, minima } = unpackNumbers(codec, packed, 0, rows);
          const numbers = decodeBlocks(type, encodeBlocks(type, { codes, scales, minima }));
          expect(numbers).toEqual({ codes, scales, minima });
          expect(plainZeros(blockValues(type, numbers))).toEqual(plainZeros(codec.unpackRows(packed, 0, rows)));
        },
      ),
      { numRuns: 20 },
    );
  });
});

test("numbers that do not fit a type are refused", () => {
  const codes = new Uint8Array(64);
  const scales = Float32Array.of(roundToF16(0.1), 1);
  expect(() => encodeBlocks("Q4_0", { codes, scales, minima: scales })).toThrow("Q4_0: 64 codes, 2 scales, 2 minima");
  expect(() => encodeBlocks("Q4_1", { codes, scales, minima: null })).toThrow("no minima");
  expect(() => encodeBlocks("Q8_0", { codes, scales: scales.subarray(1), minima: null })).toThrow("1 scales");
});
