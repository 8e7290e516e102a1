import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UserError } from "../../../src/errors.ts";
import { bytesSource } from "../../../src/formats/byte-source.ts";
import { type GgufTensorEntry, layoutGguf } from "../../../src/formats/gguf/layout.ts";
import type { GgufMetadata, GgufValue } from "../../../src/formats/gguf/metadata.ts";
import { writeGguf } from "../../../src/formats/gguf/writer.ts";
import { openGguf, readGguf } from "../../support/gguf/reader.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const folder = temporaryFolder();

const METADATA: GgufMetadata = new Map<string, GgufValue>([
  ["a.string", { kind: "string", value: "grüße" }],
  ["a.bool", { kind: "bool", value: true }],
  ["u8", { kind: "uint8", value: 255 }],
  ["i8", { kind: "int8", value: -128 }],
  ["u16", { kind: "uint16", value: 65535 }],
  ["i16", { kind: "int16", value: -5 }],
  ["u32", { kind: "uint32", value: 2 ** 32 - 1 }],
  ["i32", { kind: "int32", value: -7 }],
  ["f32", { kind: "float32", value: 0.5 }],
  ["f64", { kind: "float64", value: Math.PI }],
  ["u64", { kind: "uint64", value: 2n ** 63n }],
  ["i64", { kind: "int64", value: -9n }],
  ["strings", { kind: "array", of: "string", value: ["", "b"] }],
  ["bools", { kind: "array", of: "bool", value: [true, false] }],
  ["ints", { kind: "array", of: "int32", value: [1, -2, 3] }],
  ["longs", { kind: "array", of: "int64", value: [-1n, 2n] }],
  ["none", { kind: "array", of: "float32", value: [] }],
]);

const TENSORS: readonly GgufTensorEntry[] = [
  { name: "vector", type: "F32", rows: null, cols: 3 },
  { name: "halves", type: "F16", rows: 2, cols: 2 },
  { name: "bfloats", type: "BF16", rows: 1, cols: 1 },
  { name: "blocks", type: "Q8_0", rows: 2, cols: 32 },
];
const layout = layoutGguf(METADATA, TENSORS);
const BYTES = {
  vector: new Uint8Array(Float32Array.of(1, -2, 0.5).buffer),
  halves: new Uint8Array(Uint16Array.of(0x3c00, 0xc000, 0, 0x3800).buffer),
  bfloats: Uint8Array.of(0x80, 0x3f),
  blocks: Uint8Array.from({ length: 68 }, (_, i) => (i % 34 < 2 ? [0, 0x3c][i % 34] : i)),
};
const PIECES = Object.entries(BYTES).map(([name, bytes]) => ({ name, bytes }));

/** Names in the test's folder. */
const names = () => readdirSync(folder).sort();

/** The whole file in memory. */
async function fileBytes(): Promise<Uint8Array> {
  const file = path.join(folder, "bytes.gguf");
  await writeGguf(file, layout, PIECES);
  return readFileSync(file);
}

test("a small file, byte by byte", () => {
  const { header, tensors, totalBytes } = layoutGguf(new Map([["k", { kind: "uint8", value: 7 }]]), [
    { name: "t", type: "Q4_0", rows: 3, cols: 64 },
  ]);
  // magic, version 3, one tensor, one value; "k" = uint8 7; "t" has 2 sizes, 64 and 3, type 2, offset 0; padded to 32.
  const expected = [
    "47475546 03000000 0100000000000000 0100000000000000",
    "0100000000000000 6b 00000000 07",
    "0100000000000000 74 02000000 4000000000000000 0300000000000000 02000000 0000000000000000",
  ].join("");
  const hex = expected.replaceAll(" ", "");
  expect(Buffer.from(header).toString("hex")).toBe(hex.padEnd(2 * 96, "0"));
  expect(tensors).toEqual([{ name: "t", type: "Q4_0", rows: 3, cols: 64, bytes: 108, offset: 96 }]);
  expect(totalBytes).toBe(96 + 128);
});

test("what is written is read back: metadata of every kind, tensors of every form", async () => {
  const file = path.join(folder, "all.gguf");
  await writeGguf(file, layout, PIECES);
  expect(statSync(file).size).toBe(layout.totalBytes);
  const found = await openGguf(file);
  expect(found.metadata).toEqual(METADATA);
  expect([...found.tensors.values()]).toEqual(layout.tensors);
  for (const { offset } of found.tensors.values()) expect(offset % 32).toBe(0);
  for (const { name, bytes } of PIECES) expect(await found.readBytes(name)).toEqual(bytes);
  expect(await found.readValues("vector")).toEqual(Float32Array.of(1, -2, 0.5));
  expect(await found.readValues("halves")).toEqual(Float32Array.of(1, -2, 0, 0.5));
  expect(await found.readValues("bfloats")).toEqual(Float32Array.of(1));
  expect((await found.readValues("blocks")).slice(0, 3)).toEqual(Float32Array.of(2, 3, 4));
  await expect(found.readBytes("other")).rejects.toThrow("no tensor other");
  await found.close();
});

test("pieces that do not make up the file leave nothing behind", async () => {
  const before = names();
  const file = path.join(folder, "broken.gguf");
  const [vector, halves] = PIECES;
  const cases: [typeof PIECES, string][] = [
    [[halves], "expected tensor vector, got halves"],
    [[vector, vector], "expected tensor halves, got vector"],
    [[vector], "tensor halves: 0 of 8 bytes"],
    [[{ name: "vector", bytes: new Uint8Array(13) }], "tensor vector: more than 12 bytes"],
    [[...PIECES, vector], "expected tensor none, got vector"],
  ];
  for (const [pieces, message] of cases) await expect(writeGguf(file, layout, pieces)).rejects.toThrow(message);
  await expect(writeGguf(path.join(folder, "no", "x.gguf"), layout, PIECES)).rejects.toMatchObject({
    code: "FILE_NOT_FOUND",
  });
  expect(names()).toEqual(before);
  expect(() => layoutGguf(METADATA, [{ name: "t", type: "Q4_0", rows: 1, cols: 40 }])).toThrow("t: 40 columns");
});

describe("damaged files", () => {
  const open = (bytes: Uint8Array) => readGguf(bytesSource("x.gguf", bytes));

  /** The file with some bytes of the header replaced. */
  async function changed(at: number, ...values: number[]): Promise<Uint8Array> {
    const bytes = Uint8Array.from(await fileBytes());
    bytes.set(values, at);
    return bytes;
  }

  test.each([
    ["another magic", 0, [0x50], "x.gguf: first bytes: expected GGUF, found 0x46554750"],
    ["a version of tomorrow", 4, [9], "x.gguf: version: expected 2 or 3, found 9"],
    ["too many tensors", 8, [0, 0, 0, 1], "number of tensors: expected at most 100000, found 16777216"],
    ["a string beyond all bounds", 24, [0, 0, 0, 0, 1], "string at byte 24: length: expected at most 16777216"],
  ])("%s", async (_, at, values, message) => {
    const bytes = await changed(at, ...values);
    await expect(open(bytes)).rejects.toThrow(message);
    await expect(open(bytes)).rejects.toBeInstanceOf(UserError);
  });

  test("cut anywhere, the file is refused by a UserError", async () => {
    const bytes = await fileBytes();
    const whole = layout.tensors[layout.tensors.length - 1];
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: whole.offset + whole.bytes - 1 }), async (length) => {
        await expect(open(bytes.subarray(0, length))).rejects.toBeInstanceOf(UserError);
      }),
    );
  });

  test("with any byte of the header changed, it is read or refused by a UserError", async () => {
    const bytes = await fileBytes();
    await fc.assert(
      fc.asyncProperty(fc.nat(layout.header.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const damaged = Uint8Array.from(bytes);
        damaged[at] ^= change;
        await open(damaged).catch((error: unknown) => expect(error).toBeInstanceOf(UserError));
      }),
      { numRuns: 300 },
    );
  });
});
