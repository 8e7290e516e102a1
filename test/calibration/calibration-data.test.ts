import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";

const folder = path.resolve("calibration-data");
const Sources = z.strictObject({
  formatVersion: z.literal(1),
  files: z.array(
    z.strictObject({
      file: z.string(),
      work: z.string().min(1),
      source: z.string().min(1),
      licence: z.enum(["public domain", "CDLA-Sharing-1.0"]),
      use: z.enum(["calibration", "heldout"]),
      bytes: z.number().int().positive(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
});
const { files } = Sources.parse(JSON.parse(readFileSync(path.join(folder, "sources.json"), "utf8")));
const readme = readFileSync(path.join(folder, "README.md"), "utf8");

describe("calibration-data", () => {
  it("lists every text file and nothing else", () => {
    const present = readdirSync(folder).filter((name) => /\.(txt|jsonl)$/.test(name));
    expect(files.map((entry) => entry.file).sort()).toEqual(present.sort());
  });

  it.each(files)("$file is the listed one", ({ file, bytes, sha256 }) => {
    const content = readFileSync(path.join(folder, file));
    expect(content.length).toBe(bytes);
    expect(createHash("sha256").update(content).digest("hex")).toBe(sha256);
    expect(readme).toContain(sha256);
  });

  it("keeps held-out text out of the calibration text", () => {
    const lines = (use: string) =>
      files
        .filter((entry) => entry.use === use)
        .flatMap((entry) => readFileSync(path.join(folder, entry.file), "utf8").split("\n"))
        .map((line) => line.trim())
        .filter((line) => line.length >= 60);
    const known = new Set(lines("calibration"));
    const heldOut = lines("heldout");
    expect(heldOut.length).toBeGreaterThan(200);
    expect(heldOut.filter((line) => known.has(line))).toEqual([]);
  });
});
