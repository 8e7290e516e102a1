import { describe, expect, test } from "vitest";
import { CODECS } from "../../src/codecs/index.ts";
import { unpackNumbers } from "../../src/codecs/integer-numbers.ts";
import { sampleNumbers } from "./sample-numbers.ts";

const integers = Object.values(CODECS).filter(({ scheme }) => scheme !== "float");

describe.each(integers.map((codec) => ({ id: codec.id, codec })))("$id", ({ codec }) => {
  test("gives back the numbers that were packed, any rows of them", () => {
    const [rows, cols] = [21, 200];
    const numbers = sampleNumbers(codec, rows, cols);
    const packed = { rows, cols, bytes: codec.pack(numbers) };
    expect(unpackNumbers(codec, packed, 0, rows)).toEqual(numbers);
    if (numbers.kind !== "integer") throw new Error("not integers");
    const part = unpackNumbers(codec, packed, 5, 18);
    const groups = codec.groupsPerRow(cols);
    expect(part.codes).toEqual(numbers.codes.slice(5 * cols, 18 * cols));
    expect(part.scales).toEqual(numbers.scales.slice(5 * groups, 18 * groups));
  });
});

test("refuses floats", () => {
  const packed = { rows: 1, cols: 1, bytes: CODECS.f32.pack(sampleNumbers(CODECS.f32, 1, 1)) };
  expect(() => unpackNumbers(CODECS.f32, packed, 0, 1)).toThrow("f32: holds no codes");
});
