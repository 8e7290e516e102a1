import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { UserError } from "../../src/errors.ts";
import { parseJsonBytes, readFileBytes } from "../../src/formats/files.ts";
import { MAX_NESTING } from "../../src/formats/limits.ts";
import { openSafetensors } from "../../src/formats/safetensors/index.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const root = temporaryFolder();

const LFS =
  "version https://git-lfs.github.com/spec/v1\n" +
  "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
const tar = Buffer.alloc(1024, "x");
tar.write("ustar", 257);

/** Files of other kinds: how they begin, and what each is called. */
const FOREIGN: readonly [what: string, bytes: Buffer | string][] = [
  ["a Git LFS pointer", LFS],
  ["a Xet pointer", "# xet version 0\nfilesize = 12345\nhash = 'ab'\n"],
  ["a git-annex pointer", "/annex/objects/SHA256E-s123--abc.safetensors\n"],
  ["a GGUF file", Buffer.concat([Buffer.from("GGUF\x03\0\0\0"), Buffer.alloc(64)])],
  ["a web page", "\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"],
  ["a web page", "<html><body>502 Bad Gateway</body></html>"],
  ["a server's error message", "Entry not found"],
  ["a server's error message", "Invalid username or password."],
  ["a zip archive", Buffer.concat([Buffer.from("504b030400000808", "hex"), Buffer.alloc(64)])],
  ["a Python pickle", Buffer.from("80027d7100580500000068656c6c6f71014b0173", "hex")],
  ["an HDF5 file", Buffer.concat([Buffer.from("894844460d0a1a0a", "hex"), Buffer.alloc(64)])],
  ["a compressed file", Buffer.concat([Buffer.from("1f8b0800", "hex"), Buffer.alloc(64)])],
  ["a tar archive", tar],
];

async function refusal(work: () => unknown): Promise<string> {
  const error = await Promise.resolve()
    .then(work)
    .then(
      () => new Error("nothing was thrown"),
      (thrown: unknown) => thrown,
    );
  if (!(error instanceof UserError)) throw error;
  expect(error.message).not.toMatch(/[\n\r]/);
  expect(error.hint).toBeTruthy();
  return `${error.code} ${error.message}`;
}

describe("lfs-pointer: a file of another kind is named for what it is", () => {
  test.each(FOREIGN)("%s as JSON and as weights", async (what, content) => {
    const bytes = Buffer.from(content);
    expect(await refusal(() => parseJsonBytes(bytes, "f"))).toContain(`FOREIGN_FILE f: expected JSON, found ${what}`);
    const file = path.join(root, "model.safetensors");
    writeFileSync(file, bytes);
    expect(await refusal(() => openSafetensors(file))).toBe(
      `FOREIGN_FILE ${file}: expected safetensors, found ${(await refusal(() => parseJsonBytes(bytes, "f"))).split("found ")[1]}`,
    );
  });

  test("weights and JSON in each other's place", async () => {
    const file = path.join(root, "swapped");
    writeFileSync(file, '{"error": "Repository not found"}');
    expect(await refusal(() => openSafetensors(file))).toContain("expected safetensors, found JSON text");
    const header = Buffer.from('\x10\0\0\0\0\0\0\0{"__metadata__":{}}');
    expect(await refusal(() => parseJsonBytes(header, "f"))).toContain("expected JSON, found a safetensors file");
  });

  test("a pointer in place of any file that is read whole, text files too", async () => {
    const file = path.join(root, "chat_template.jinja");
    writeFileSync(file, LFS);
    expect(await refusal(() => readFileBytes(file))).toContain("expected the file itself, found a Git LFS pointer");
  });

  test("a damaged file that is none of them keeps its own message", async () => {
    expect(await refusal(() => parseJsonBytes(Buffer.from('{"a": '), "f"))).toMatch(/^NOT_JSON f: expected JSON: /);
    const file = path.join(root, "damaged.safetensors");
    writeFileSync(file, Buffer.from('\x7b\x22\0\0\0\0\0\0{"a":1}'));
    expect(await refusal(() => openSafetensors(file))).toMatch(/^BAD_SAFETENSORS /);
  });
});

describe("config-deep-nesting: JSON has a deepest nesting", () => {
  const nested = (open: string, close: string, depth: number) =>
    Buffer.from(`${open.repeat(depth)}1${close.repeat(depth)}`);

  test.each([
    ["[", "]"],
    ['{"a":', "}"],
  ])("of %s", async (open, close) => {
    expect(parseJsonBytes(nested(open, close, MAX_NESTING), "f")).toBeTypeOf("object");
    for (const depth of [MAX_NESTING + 1, 8000, 1_000_000]) {
      expect(await refusal(() => parseJsonBytes(nested(open, close, depth), "f"))).toBe(
        `JSON_LIMIT f: expected JSON: more than ${MAX_NESTING} levels of nesting`,
      );
    }
  });

  test("brackets inside of strings are none", () => {
    const text = `${"[".repeat(500)}\\" ${"{".repeat(500)}`;
    expect(parseJsonBytes(Buffer.from(`{"a": "${text}", "b": "\\\\"}`), "f")).toEqual({
      a: text.replace("\\", ""),
      b: "\\",
    });
  });
});
