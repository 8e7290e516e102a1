import { describe, expect, test } from "vitest";
import { UserError } from "../../../src/errors.ts";
import { bytesSource } from "../../../src/formats/byte-source.ts";
import {
  DTYPE_NAMES,
  DTYPES,
  type Dtype,
  decodeF32,
  decodeValues,
  isDecodable,
  layoutSafetensors,
  MAX_READ_BYTES,
  openSafetensors,
} from "../../../src/formats/safetensors/index.ts";

/** A file in memory with one tensor `x`. */
function fileOf(dtype: Dtype, length: number, data: Uint8Array) {
  const { header } = layoutSafetensors([{ name: "x", dtype, shape: [length] }]);
  return openSafetensors(bytesSource("x.safetensors", Buffer.concat([header, data])));
}

describe("8-bit floats", () => {
  // Largest, smallest and special codes by the definitions of OCP FP8, OCP MX and the FNUZ variants.
  test.each<[Dtype, [number, number][]]>([
    [
      "F8_E4M3",
      [
        [0x7e, 448],
        [0x01, 2 ** -9],
        [0x38, 1],
        [0xff, Number.NaN],
        [0x80, -0],
      ],
    ],
    [
      "F8_E5M2",
      [
        [0x7b, 57344],
        [0x01, 2 ** -16],
        [0x7c, Number.POSITIVE_INFINITY],
        [0xfd, Number.NaN],
      ],
    ],
    [
      "F8_E4M3FNUZ",
      [
        [0x7f, 240],
        [0x01, 2 ** -10],
        [0x40, 1],
        [0x80, Number.NaN],
        [0xff, -240],
      ],
    ],
    [
      "F8_E5M2FNUZ",
      [
        [0x7f, 57344],
        [0x01, 2 ** -17],
        [0x40, 1],
        [0x80, Number.NaN],
      ],
    ],
    [
      "F8_E8M0",
      [
        [0, 2 ** -127],
        [127, 1],
        [254, 2 ** 127],
        [255, Number.NaN],
      ],
    ],
  ])("%s", (dtype, codes) => {
    const bytes = Uint8Array.from(codes, ([code]) => code);
    expect(decodeValues(dtype, bytes)).toEqual(codes.map(([, value]) => value));
  });

  test("positive codes rise with their number", () => {
    for (const dtype of ["F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0"] as const) {
      const values = decodeValues(
        dtype,
        Uint8Array.from({ length: 126 }, (_, code) => code),
      ).map(Number);
      const finite = values.filter(Number.isFinite);
      expect(finite.length).toBeGreaterThan(120);
      expect(finite).toEqual([...new Set(finite)].toSorted((a, b) => a - b));
    }
  });
});

describe("decodeF32", () => {
  test.each(DTYPE_NAMES.filter(isDecodable))("%s: agrees with the exact values, at any address", (dtype) => {
    const elementBytes = DTYPES[dtype].bits / 8;
    const bytes = Uint8Array.from({ length: 40 * elementBytes }, (_, i) => (i * 37 + 11) % 256);
    const expected = decodeValues(dtype, bytes).map((value) => Math.fround(Number(value)));
    for (const shift of [0, 1, 3]) {
      const moved = new Uint8Array(bytes.length + shift).subarray(shift);
      moved.set(bytes);
      const out = new Float32Array(40);
      decodeF32(dtype, moved, out);
      expect([...out]).toEqual(expected);
    }
    expect(() => decodeF32(dtype, bytes, new Float32Array(39))).toThrow("do not make 39 values");
  });

  test("64-bit integers are rounded, and exact as values", () => {
    const bytes = new Uint8Array(new BigUint64Array([2n ** 64n - 1n, 2n ** 53n + 1n]).buffer);
    expect(decodeValues("U64", bytes)).toEqual([2n ** 64n - 1n, 2n ** 53n + 1n]);
    const out = new Float32Array(2);
    decodeF32("U64", bytes, out);
    expect([...out]).toEqual([2 ** 64, 2 ** 53]);
  });
});

describe("readF32", () => {
  test("joins the pieces that a large tensor is read in", async () => {
    const length = MAX_READ_BYTES + 1000;
    const data = Uint8Array.from({ length }, (_, i) => (i * 31) % 251);
    const file = await fileOf("U8", length, data);
    const out = await file.readF32("x", 5, length);
    expect(out.length).toBe(length - 5);
    expect(out.every((value, i) => value === data[i + 5])).toBe(true);
  });

  test("reads into a part of a larger array, and refuses parts outside", async () => {
    const file = await fileOf("I8", 4, Uint8Array.from([1, 255, 3, 4]));
    const out = new Float32Array(4).fill(9);
    await file.readF32("x", 1, 3, out.subarray(1, 3));
    expect([...out]).toEqual([9, -1, 3, 9]);
    expect([...(await file.readF32("x"))]).toEqual([1, -1, 3, 4]);
    for (const [from, to] of [
      [-1, 2],
      [3, 2],
      [0, 5],
      [0.5, 1],
    ]) {
      await expect(file.readF32("x", from, to)).rejects.toThrow(RangeError);
      await expect(file.readBytes("x", from, to)).rejects.toThrow(RangeError);
    }
    expect([...(await file.readBytes("x", 1, 3))]).toEqual([255, 3]);
    expect(file.fileOffset("x")).toBe(file.dataOffset);
    await expect(file.readF32("y", 0, 1)).rejects.toBeInstanceOf(UserError);
  });

  test.each(["F4", "C64"] as const)("%s has no value in f32: a UserError", async (dtype) => {
    const file = await fileOf(dtype, 2, new Uint8Array((2 * DTYPES[dtype].bits) / 8));
    await expect(file.readF32("x", 0, 2)).rejects.toMatchObject({ name: "UserError", code: "BAD_DTYPE" });
  });
});
