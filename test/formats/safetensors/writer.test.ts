import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UserError } from "../../../src/errors.ts";
import { partialPath } from "../../../src/formats/files.ts";
import {
  DTYPE_NAMES,
  layoutSafetensors,
  openSafetensors,
  type SafetensorsEntry,
  SafetensorsWriter,
  tensorBytes,
  writeSafetensors,
} from "../../../src/formats/safetensors/index.ts";
import { Random } from "../../../src/tensor/random.ts";
import { HAS_FULL_DISK, needsFullDisk } from "../../support/full-disk.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const root = temporaryFolder();
let count = 0;
const newFile = () => path.join(root, `file-${count++}.safetensors`);

/** Bytes that belong to a tensor, the same at every call. */
function bytesOf(entry: SafetensorsEntry, seed = 1): Uint8Array {
  const random = new Random(seed).fork(entry.name);
  return Uint8Array.from({ length: tensorBytes(entry.dtype, entry.shape) ?? 0 }, () => random.nextInt(256));
}

const names = fc.oneof(
  fc.constantFrom("__proto__", "", "constructor", "a.b.weight", 'quote"\\\n', "слой🙂"),
  fc
    .string({ unit: "binary", maxLength: 12 })
    .filter((name) => !/\p{Surrogate}/u.test(name) && name !== "__metadata__"),
);
const anEntry: fc.Arbitrary<SafetensorsEntry> = fc
  .record({
    name: names,
    dtype: fc.constantFrom(...DTYPE_NAMES),
    shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
  })
  .map((entry) => (tensorBytes(entry.dtype, entry.shape) === null ? { ...entry, shape: [...entry.shape, 4] } : entry));
const someEntries = fc.uniqueArray(anEntry, { selector: (entry) => entry.name, maxLength: 8 });

const THREE: SafetensorsEntry[] = [
  { name: "a", dtype: "F32", shape: [5] },
  { name: "b", dtype: "U8", shape: [3] },
  { name: "c", dtype: "BF16", shape: [2, 2] },
];

describe("layoutSafetensors", () => {
  test("writes the bytes that the format prescribes", () => {
    const layout = layoutSafetensors(THREE.slice(0, 2), { metadata: { format: "pt" } });
    const json =
      '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[5],"data_offsets":[0,20]},' +
      '"b":{"dtype":"U8","shape":[3],"data_offsets":[20,23]}}';
    const padded = json.padEnd(Math.ceil(json.length / 8) * 8);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(padded.length));
    expect(Buffer.from(layout.header).toString("latin1")).toBe(length.toString("latin1") + padded);
    expect(layout.totalBytes).toBe(8 + padded.length + 23);
  });

  test("starts the data at a multiple of the alignment and leaves no gaps", () => {
    fc.assert(
      fc.property(someEntries, fc.constantFrom(8, 64, 4096), (entries, dataAlign) => {
        const layout = layoutSafetensors(entries, { dataAlign });
        expect(layout.dataOffset % dataAlign).toBe(0);
        expect(layout.header.length).toBe(layout.dataOffset);
        expect([...layout.tensors.keys()]).toEqual(entries.map(({ name }) => name));
        let at = 0;
        for (const { begin, end } of layout.tensors.values()) {
          expect(begin).toBe(at);
          at = end;
        }
        expect(layout.totalBytes).toBe(layout.dataOffset + at);
      }),
    );
  });

  test.each<[string, SafetensorsEntry[], { dataAlign?: number; metadata?: Record<string, string> }]>([
    ["a name twice", [THREE[0], THREE[0]], {}],
    ["the reserved name", [{ ...THREE[0], name: "__metadata__" }], {}],
    ["a lone surrogate", [{ ...THREE[0], name: "\ud800" }], {}],
    ["half a byte", [{ name: "a", dtype: "F4", shape: [3] }], {}],
    ["a negative dimension", [{ name: "a", dtype: "U8", shape: [-1] }], {}],
    ["a broken dimension", [{ name: "a", dtype: "U8", shape: [0.5] }], {}],
    ["more than 2^53 bytes", [{ name: "a", dtype: "U8", shape: [2 ** 30, 2 ** 30] }], {}],
    ["an odd alignment", THREE, { dataAlign: 12 }],
    ["a lone surrogate in the metadata", THREE, { metadata: { a: "\udc00" } }],
  ])("refuses %s", (_, entries, options) => {
    expect(() => layoutSafetensors(entries, options)).toThrow(Error);
  });
});

describe("writing", () => {
  test("what is written is read back, every type, in pieces and in any order", async () => {
    await fc.assert(
      fc.asyncProperty(someEntries, fc.nat(20), fc.boolean(), async (entries, cut, reversed) => {
        const file = newFile();
        const metadata = { seed: "1", ключ: "🙂" };
        const layout = layoutSafetensors(entries, { metadata, dataAlign: 64 });
        const pieces = (reversed ? entries.toReversed() : entries).flatMap((entry) => {
          const bytes = bytesOf(entry);
          return [bytes.subarray(0, cut), bytes.subarray(cut)].map((part) => ({ name: entry.name, bytes: part }));
        });
        await writeSafetensors(file, layout, pieces);
        const read = await openSafetensors(file);
        expect(read.byteLength).toBe(layout.totalBytes);
        expect(read.dataOffset).toBe(layout.dataOffset);
        expect(await read.readHeader()).toEqual(layout.header);
        expect(new Map(read.tensors)).toEqual(new Map(layout.tensors));
        expect(Object.fromEntries(read.metadata ?? [])).toEqual(metadata);
        for (const entry of entries) expect(await read.readBytes(entry.name)).toEqual(bytesOf(entry));
        await read.close();
      }),
      { numRuns: 150 },
    );
  });

  async function writeThree(
    file: string,
    writer: SafetensorsWriter,
    which: readonly SafetensorsEntry[],
  ): Promise<Buffer> {
    for (const entry of which) await writer.write(entry.name, bytesOf(entry));
    await writer.finish();
    return readFileSync(file);
  }

  test("a suspended file is continued and ends with the same bytes", async () => {
    const layout = layoutSafetensors(THREE);
    const [file, other] = [newFile(), newFile()];
    const undisturbed = await writeThree(other, await SafetensorsWriter.open(other, layout), THREE);
    for (const [i, { name }] of THREE.entries()) {
      const first = await SafetensorsWriter.open(file, layout);
      for (const entry of THREE.slice(0, i)) await first.write(entry.name, bytesOf(entry));
      await first.write(name, bytesOf(THREE[i], 2).subarray(0, 3));
      await first.suspend();
      expect(existsSync(file)).toBe(i > 0);
      const second = await SafetensorsWriter.open(file, layout, { resumeAt: name });
      expect(await writeThree(file, second, THREE.slice(i))).toEqual(undisturbed);
      expect(existsSync(partialPath(file))).toBe(false);
    }
  });

  test("another file, or too short a one, is not continued and not touched", async () => {
    const file = newFile();
    const layout = layoutSafetensors(THREE);
    const other = layoutSafetensors(THREE.slice(0, 2));
    const writer = await SafetensorsWriter.open(file, other);
    await writer.suspend();
    const before = readFileSync(partialPath(file));
    // One after the other: a rejection that nobody waits for yet would end the run.
    for (const [wanted, resumeAt] of [[layout, "a"] as const, [other, "b"] as const]) {
      const open = SafetensorsWriter.open(file, wanted, { resumeAt });
      await expect(open).rejects.toMatchObject({ name: "UserError", code: "CANNOT_RESUME" });
    }
    expect(readFileSync(partialPath(file))).toEqual(before);
    await expect(SafetensorsWriter.open(newFile(), layout, { resumeAt: "a" })).rejects.toMatchObject({
      code: "FILE_NOT_FOUND",
    });
  });

  test("a file that is not complete gets no name, nor does one that is aborted", async () => {
    const file = newFile();
    const layout = layoutSafetensors(THREE);
    const missing = await SafetensorsWriter.open(file, layout);
    await missing.write("a", bytesOf(THREE[0]));
    await expect(missing.finish()).rejects.toThrow('"b": 0 of 3 bytes');
    const aborted = await SafetensorsWriter.open(file, layout);
    await aborted.abort();
    const failing = (async function* () {
      yield { name: "a", bytes: bytesOf(THREE[0]) };
      throw new Error("the source failed");
    })();
    await expect(writeSafetensors(file, layout, failing)).rejects.toThrow("the source failed");
    expect(readdirSync(root).filter((name) => name.startsWith(path.basename(file)))).toEqual([]);
  });

  test("bytes without room and names without a place are bugs", async () => {
    const writer = await SafetensorsWriter.open(newFile(), layoutSafetensors(THREE));
    await writer.write("b", new Uint8Array(2));
    await expect(writer.write("b", new Uint8Array(2))).rejects.toThrow('"b": 4 bytes for 3');
    await expect(writer.write("d", new Uint8Array(2))).rejects.toThrow('no tensor "d"');
    await writer.abort();
  });

  test("a folder that is missing is a UserError", async () => {
    const open = SafetensorsWriter.open(path.join(root, "no", "such.safetensors"), layoutSafetensors(THREE));
    await expect(open).rejects.toBeInstanceOf(UserError);
  });

  test.skipIf(!HAS_FULL_DISK)(needsFullDisk("a full disk is a UserError that leaves the old file"), async () => {
    const file = newFile();
    writeFileSync(file, "old");
    symlinkSync("/dev/full", partialPath(file));
    const written = writeSafetensors(file, layoutSafetensors(THREE), []);
    await expect(written).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(readFileSync(file, "utf8")).toBe("old");
    expect(existsSync(partialPath(file))).toBe(false);
  });
});
