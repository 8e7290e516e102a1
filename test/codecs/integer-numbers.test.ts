import { describe, expect, test } from "vitest";
import { CODECS } from "../../src/codecs/index.ts";
import { type IntegerNumbers, unpackNumbers } from "../../src/codecs/integer-numbers.ts";
import { sampleNumbers } from "./sample-numbers.ts";

const integers = Object.values(CODECS).filter(({ scheme }) => scheme !== "float");

describe.each(integers.map((codec) => ({ id: codec.id, codec })))("$id", ({ codec }) => {
  test("gives back the numbers that were packed, any rows of them", () => {
    const [rows, cols] = [21, 200];
    const numbers = sampleNumbers(codec, rows, cols);
    const packed = { rows, cols, bytes: codec.pack(numbers) };
    if (numbers.kind !== "integer") throw new Error("not integers");
    expectSame(unpackNumbers(codec, packed, 0, rows), numbers);
    const groups = codec.groupsPerRow(cols);
    expectSame(unpackNumbers(codec, packed, 5, 18), {
      ...numbers,
      rows: 13,
      codes: numbers.codes.slice(5 * cols, 18 * cols),
      scales: numbers.scales.slice(5 * groups, 18 * groups),
      minima: numbers.minima?.slice(5 * groups, 18 * groups) ?? null,
      rowScales: numbers.rowScales?.slice(5, 18) ?? null,
      rowMinima: numbers.rowMinima?.slice(5, 18) ?? null,
    });
  });
});

/** The same numbers; as text, since comparing arrays element by element takes a hundred times as long. */
function expectSame(found: IntegerNumbers, expected: IntegerNumbers): void {
  const text = (numbers: IntegerNumbers) =>
    JSON.stringify(numbers, (_, value) => (ArrayBuffer.isView(value) ? String(value) : value));
  expect(text(found)).toBe(text(expected));
}

test("refuses floats", () => {
  const packed = { rows: 1, cols: 1, bytes: CODECS.f32.pack(sampleNumbers(CODECS.f32, 1, 1)) };
  expect(() => unpackNumbers(CODECS.f32, packed, 0, 1)).toThrow("f32: holds no codes");
});
