import { readFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UserError } from "../../../src/errors.ts";
import type { ByteSource } from "../../../src/formats/byte-source.ts";
import { bytesSource } from "../../../src/formats/byte-source.ts";
import {
  isDecodable,
  layoutSafetensors,
  MAX_HEADER_BYTES,
  openSafetensors,
} from "../../../src/formats/safetensors/index.ts";
import { EXPECTED, SAFETENSORS } from "./fixtures.ts";

/** A file of our own, and the good fixtures where they are. */
const GOOD: Buffer[] = [
  ...Object.keys(EXPECTED.good).map((name) => readFileSync(path.join(SAFETENSORS, "good", name))),
  Buffer.concat([
    layoutSafetensors(
      [
        { name: "a", dtype: "F16", shape: [2, 3] },
        { name: "b", dtype: "I64", shape: [1] },
      ],
      { metadata: { key: "value" } },
    ).header,
    Buffer.alloc(20, 7),
  ]),
];

/** Watches every read: none may reach beyond the file. */
function watched(bytes: Uint8Array): { source: ByteSource; reads: () => number; closed: () => boolean } {
  const inner = bytesSource("damaged.safetensors", bytes);
  let reads = 0;
  let closed = false;
  const source: ByteSource = {
    label: inner.label,
    byteLength: inner.byteLength,
    mark: inner.mark,
    read(offset, length, into) {
      reads++;
      if (offset < 0 || length < 0 || offset + length > bytes.length) throw new Error(`read ${length} at ${offset}`);
      return inner.read(offset, length, into);
    },
    async close() {
      closed = true;
    },
  };
  return { source, reads: () => reads, closed: () => closed };
}

/** Opens the bytes and reads all of it; true if they are a good file, false after a proper UserError. */
async function opens(bytes: Uint8Array): Promise<boolean> {
  const { source, closed } = watched(bytes);
  let file: Awaited<ReturnType<typeof openSafetensors>>;
  try {
    file = await openSafetensors(source);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    expect(error.message).not.toMatch(/[\n\r]/);
    expect(error.message.length).toBeLessThan(600);
    expect(closed()).toBe(true);
    return false;
  }
  let total = 0;
  for (const { name, dtype, begin, end } of file.tensors.values()) {
    const whole = await file.readBytes(name);
    total += whole.length;
    if (isDecodable(dtype)) expect((await file.readF32(name, 0, 0)).length).toBe(0);
    expect(whole.length).toBe(end - begin);
  }
  expect(file.dataOffset + total).toBe(bytes.length);
  await file.close();
  return true;
}

describe("damaged files are read or refused, never worse", () => {
  const good = fc.constantFrom(...GOOD);

  test("flipped bytes", async () => {
    let accepted = 0;
    const flips = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(good, flips, async (bytes, changes) => {
        const damaged = new Uint8Array(bytes);
        for (const [at, mask] of changes) damaged[at % damaged.length] ^= mask;
        if (await opens(damaged)) accepted++;
      }),
      { numRuns: 3000 },
    );
    // Damage in the data alone cannot be seen, damage in the header nearly always: both must have been tried.
    expect(accepted).toBeGreaterThan(100);
    expect(accepted).toBeLessThan(2900);
  });

  test("characters of the header exchanged for others that JSON knows", async () => {
    const edits = fc.array(fc.tuple(fc.nat(), fc.constantFrom(...'{}[]",:0123456789-.eE \\uF')), {
      minLength: 1,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(good, edits, async (bytes, changes) => {
        const damaged = new Uint8Array(bytes);
        const headerBytes = Number(bytes.readBigUInt64LE());
        for (const [at, text] of changes) damaged[8 + (at % headerBytes)] = text.charCodeAt(0);
        await opens(damaged);
      }),
      { numRuns: 3000 },
    );
  });

  test("every truncation and any growth", async () => {
    for (const bytes of GOOD) {
      const step = Math.ceil(bytes.length / 200);
      for (let length = 0; length < bytes.length; length += step) {
        expect(await opens(new Uint8Array(bytes.subarray(0, length)))).toBe(false);
      }
      expect(await opens(new Uint8Array(bytes))).toBe(true);
      expect(await opens(Buffer.concat([bytes, Buffer.alloc(1)]))).toBe(false);
    }
  });

  test("any header length: none makes the reader read or allocate beyond the file or the limit", async () => {
    await fc.assert(
      fc.asyncProperty(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.nat(63), async (value, shift) => {
        const bytes = Buffer.from(GOOD[GOOD.length - 1]);
        const length = value >> BigInt(shift);
        fc.pre(length !== bytes.readBigUInt64LE());
        bytes.writeBigUInt64LE(length);
        const { source, reads } = watched(bytes);
        const fits = length <= BigInt(bytes.length - 8) && length <= BigInt(MAX_HEADER_BYTES);
        await expect(openSafetensors(source)).rejects.toBeInstanceOf(UserError);
        // One more read: of the first bytes, to see whether it is another kind of file.
        expect(reads()).toBe(fits ? 3 : 2);
      }),
      { numRuns: 300 },
    );
  });
});

/** A file of the given header and as many data bytes. */
function fileOf(json: string, dataBytes: number): Uint8Array {
  const text = Buffer.from(json);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(dataBytes)]);
}

describe("where the format leaves room (table in header.ts)", () => {
  const one = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}';
  test.each([
    ["spaces before the object", `  \n${'{"a":'}${one}}`, 4, true],
    ["metadata null", `{"__metadata__":null,"a":${one}}`, 4, true],
    ["the same tensor twice", `{"a":${one},"a":${one}}`, 4, true],
    ["two names for one span", `{"a":${one},"b":${one}}`, 4, false],
    ["a tensor twice, another shape", `{"a":${one},"a":${one.replace("[1]", "[1,1]")}}`, 4, false],
    ["a tensor twice, another type", `{"a":${one},"a":${one.replace("F32", "I32")}}`, 4, false],
    ["a metadata key twice, the same", `{"__metadata__":{"k":"v","k":"v"}}`, 0, true],
    ["a metadata key twice, another value", `{"__metadata__":{"k":"v","k":"w"}}`, 0, false],
    ["metadata twice", `{"__metadata__":{},"__metadata__":{}}`, 0, false],
    ["unknown fields", `{"a":${one.replace("{", '{"x":[1.5,{"y":null}],"x":2,')}}`, 4, true],
    [
      "unknown fields nested 127 deep",
      `{"a":${one.replace("{", `{"x":${"[".repeat(125)}${"]".repeat(125)},`)}}`,
      4,
      true,
    ],
    [
      "unknown fields nested deeper",
      `{"a":${one.replace("{", `{"x":${"[".repeat(126)}${"]".repeat(126)},`)}}`,
      4,
      false,
    ],
    ["an entry as an array", '{"a":["F32",[1],[0,4]]}', 4, false],
    ["a dtype as an object", `{"a":${one.replace('"F32"', '{"F32":null}')}}`, 4, false],
    ["an escaped dtype", `{"a":${one.replace("F32", "\\u004632")}}`, 4, true],
    ["a dtype of Object's prototype", `{"a":${one.replace("F32", "toString")}}`, 4, false],
    ["minus zero", '{"a":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}', 0, false],
    ["2^53 - 1 beside 0", '{"a":{"dtype":"F32","shape":[0,9007199254740991],"data_offsets":[0,0]}}', 0, true],
    ["2^53 beside 0", '{"a":{"dtype":"F32","shape":[0,9007199254740992],"data_offsets":[0,0]}}', 0, false],
    ["4-bit floats in whole bytes", '{"a":{"dtype":"F4","shape":[3,2],"data_offsets":[0,3]}}', 3, true],
    ["6-bit floats in whole bytes", '{"a":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}}', 3, true],
    ["6-bit floats in parts of bytes", '{"a":{"dtype":"F6_E3M2","shape":[5],"data_offsets":[0,4]}}', 4, false],
  ])("%s", async (_, json, dataBytes, accepted) => {
    expect(await opens(fileOf(json, dataBytes))).toBe(accepted);
  });
});
