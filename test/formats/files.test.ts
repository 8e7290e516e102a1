import { execFileSync } from "node:child_process";
import { existsSync, promises as fs, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { UserError } from "../../src/errors.ts";
import { bytesSource, openFile } from "../../src/formats/byte-source.ts";
import {
  decodeText,
  fileError,
  MAX_IO_BYTES,
  partialPath,
  readFileBytes,
  readJsonFile,
  writeFileAtomic,
} from "../../src/formats/files.ts";
import { layoutSafetensors, SafetensorsWriter } from "../../src/formats/safetensors/index.ts";
import { HAS_FULL_DISK, needsFullDisk } from "../support/full-disk.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const root = temporaryFolder();
const file = (name: string) => path.join(root, name);

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof UserError)) throw new Error(`expected a UserError, found ${String(error)}`);
  expect(error.message).not.toMatch(/[\n\r]/);
  return error.code;
}

describe("fileError", () => {
  test.each([
    ["ENOENT", "FILE_NOT_FOUND", "/x: cannot write: no such file or folder"],
    ["EACCES", "FILE_ACCESS", "/x: cannot write: permission denied"],
    ["EROFS", "FILE_READ_ONLY", "/x: cannot write: the disk is read-only"],
    ["ENOSPC", "DISK_FULL", "/x: cannot write: the disk is full"],
    ["EISDIR", "FILE_IS_FOLDER", "/x: cannot write: expected a file, found a folder"],
  ])("%s is the user's to mend: %s", (errno, code, message) => {
    const error = fileError(Object.assign(new Error(`${errno}: text of the system`), { code: errno }), "/x", "write");
    expect(error).toBeInstanceOf(UserError);
    expect(error).toMatchObject({ code, message });
  });

  test("anything else stays what it is", () => {
    const bug = new TypeError("x");
    expect(fileError(bug, "/x", "read")).toBe(bug);
    const known = new UserError("A", "b");
    expect(fileError(known, "/x", "read")).toBe(known);
  });
});

describe("writeFileAtomic", () => {
  test("writes text and bytes, replaces, and leaves nothing beside them", async () => {
    const folder = file("atomic");
    mkdirSync(folder);
    await writeFileAtomic(path.join(folder, "a"), "first");
    await writeFileAtomic(path.join(folder, "a"), new Uint8Array([1, 2, 3]));
    expect([...readFileSync(path.join(folder, "a"))]).toEqual([1, 2, 3]);
    expect(readdirSync(folder)).toEqual(["a"]);
  });

  test("a failed write leaves the old file and no partial one", async () => {
    mkdirSync(file("taken"));
    expect(await codeOf(writeFileAtomic(file("taken"), "x"))).toBe("FILE_IS_FOLDER");
    expect(await codeOf(writeFileAtomic(file("no/such/folder"), "x"))).toBe("FILE_NOT_FOUND");
    expect(readdirSync(root).filter((name) => name.endsWith(".partial"))).toEqual([]);
  });

  test.skipIf(!HAS_FULL_DISK)(needsFullDisk("a full disk is a UserError"), async () => {
    writeFileSync(file("kept"), "old");
    symlinkSync("/dev/full", partialPath(file("kept")));
    expect(await codeOf(writeFileAtomic(file("kept"), "new"))).toBe("DISK_FULL");
    expect(readFileSync(file("kept"), "utf8")).toBe("old");
    expect(existsSync(partialPath(file("kept")))).toBe(false);
  });
});

describe("more bytes than one system call takes", () => {
  const huge = 2 ** 31 + 8;
  const lengths: number[] = [];
  afterEach(() => void vi.restoreAllMocks());

  /** Stands in for the disk: a real 2 GiB would take seconds. */
  async function fakeDisk(): Promise<void> {
    const handle = await fs.open(file("huge"), "w");
    await handle.truncate(huge);
    const prototype = Object.getPrototypeOf(handle);
    await handle.close();
    lengths.length = 0;
    const moved = (buffer: unknown, length: number) => {
      lengths.push(length);
      return Promise.resolve({ bytesRead: length, bytesWritten: length, buffer });
    };
    vi.spyOn(prototype, "read").mockImplementation((buffer, _start, length) => moved(buffer, Number(length)));
    vi.spyOn(prototype, "write").mockImplementation((buffer, _start, length) => moved(buffer, Number(length)));
  }

  test("are read in pieces", async () => {
    await fakeDisk();
    const source = await openFile(file("huge"));
    expect((await source.read(0, huge)).length).toBe(huge);
    await source.close();
    expect(lengths).toEqual([MAX_IO_BYTES, MAX_IO_BYTES, 8]);
  });

  test("are written in pieces", async () => {
    await fakeDisk();
    const layout = layoutSafetensors([{ name: "a", dtype: "U8", shape: [huge] }]);
    const writer = await SafetensorsWriter.open(file("huge.safetensors"), layout);
    await writer.write("a", new Uint8Array(huge));
    await writer.abort();
    expect(lengths.slice(1)).toEqual([MAX_IO_BYTES, MAX_IO_BYTES, 8]);
  });
});

describe("decodeText", () => {
  test("takes UTF-8 with or without its mark, and nothing else", () => {
    const bytes = new TextEncoder().encode("\uFEFFgrün");
    expect(decodeText(bytes, "x")).toBe("grün");
    expect(() => decodeText(Uint8Array.of(0x67, 0xfc), "x.txt")).toThrow("x.txt: expected UTF-8 text");
  });
});

describe("readJsonFile", () => {
  const Schema = z.strictObject({ n: z.number() });

  test("reads, with a schema or without, and drops a BOM", async () => {
    writeFileSync(file("a.json"), '\ufeff{"n": 1}');
    expect(await readJsonFile(file("a.json"))).toEqual({ n: 1 });
    expect((await readJsonFile(file("a.json"), Schema)).n).toBe(1);
  });

  test.each([
    ["not JSON", '{"n": }', "NOT_JSON"],
    ["not JSON in two lines", '{"n"\n\n: }', "NOT_JSON"],
    ["not UTF-8", Buffer.from([0x22, 0xff, 0x22]), "NOT_JSON"],
    ["not the schema's", '{"n": "1"}', "BAD_FIELD"],
    ["a field too many", '{"n": 1, "m": 2}', "BAD_FIELD"],
  ])("%s", async (_, content, code) => {
    writeFileSync(file("b.json"), content);
    expect(await codeOf(readJsonFile(file("b.json"), Schema))).toBe(code);
  });

  test("a missing file, a folder, and one that is too large", async () => {
    expect(await codeOf(readJsonFile(file("none.json")))).toBe("FILE_NOT_FOUND");
    expect(await codeOf(readJsonFile(root))).toBe("FILE_IS_FOLDER");
    writeFileSync(file("large"), "12345");
    expect(await codeOf(readFileBytes(file("large"), 4))).toBe("FILE_TOO_LARGE");
    expect(await readFileBytes(file("large"), 5)).toHaveLength(5);
  });

  test.skipIf(process.platform === "win32")("eval-text-device: no pipe is waited for and no device read", async () => {
    for (const device of ["/dev/zero", "/dev/null"]) expect(await codeOf(readFileBytes(device))).toBe("NOT_A_FILE");
    execFileSync("/usr/bin/mkfifo", [file("pipe")]);
    expect(await codeOf(readFileBytes(file("pipe")))).toBe("NOT_A_FILE");
    expect(await codeOf(openFile(file("pipe")))).toBe("NOT_A_FILE");
    expect(await codeOf(writeFileAtomic(file("pipe"), "text"))).toBe("NOT_A_FILE");
  });
});

describe("byte sources", () => {
  const content = Uint8Array.from({ length: 100 }, (_, i) => i);

  test.each(["a file", "memory"])("%s is read at any position, into a buffer or a new one", async (kind) => {
    writeFileSync(file("bytes"), content);
    const source = kind === "memory" ? bytesSource("bytes", content) : await openFile(file("bytes"));
    expect(source.byteLength).toBe(100);
    expect([...(await source.read(40, 3))]).toEqual([40, 41, 42]);
    expect([...(await source.read(100, 0))]).toEqual([]);
    const buffer = new Uint8Array(5);
    expect((await source.read(95, 4, buffer)).buffer).toBe(buffer.buffer);
    expect([...buffer]).toEqual([95, 96, 97, 98, 0]);
    expect(await codeOf(source.read(98, 3))).toBe("FILE_TRUNCATED");
    await expect(source.read(-1, 3)).rejects.toThrow(RangeError);
    await expect(source.read(0, 6, buffer)).rejects.toThrow(RangeError);
    await source.close();
  });

  test("bytes read from memory are a copy", async () => {
    const source = bytesSource("bytes", Buffer.from([1, 2, 3]));
    const part = await source.read(0, 3);
    part[0] = 9;
    expect([...(await source.read(0, 3))]).toEqual([1, 2, 3]);
  });

  test("a file that shrinks after it was opened is a UserError", async () => {
    writeFileSync(file("shrinks"), content);
    const source = await openFile(file("shrinks"));
    writeFileSync(file("shrinks"), content.subarray(0, 50));
    expect(await codeOf(source.read(45, 10))).toBe("FILE_TRUNCATED");
    await source.close();
  });

  test("what is missing or no file is a UserError", async () => {
    expect(await codeOf(openFile(file("none")))).toBe("FILE_NOT_FOUND");
    expect(await codeOf(openFile(root))).toBe("FILE_IS_FOLDER");
  });
});
