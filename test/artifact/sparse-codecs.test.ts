import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Manifest } from "../../src/artifact/manifest.ts";
import { openArtifact } from "../../src/artifact/reader.ts";
import { verifyArtifact } from "../../src/artifact/verify.ts";
import { CODECS, codecIdOf } from "../../src/codecs/index.ts";
import { matricesOf } from "../../src/model/decoder-spec.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { changeFile, copyArtifact, lieInManifest } from "./damage.ts";
import { makeArtifact } from "./make-artifact.ts";
import { readPlainly } from "./plain-reader.ts";

const CYCLE = ["q4s-g32-n16", "q3s-g32-2of4", "q8s-g32-n24", "q4s-g32-n8", "q4s-g32"];
const base = temporaryFolder();
const good = path.join(base, "good");
const manifestOf = (folder: string): Manifest => JSON.parse(readFileSync(path.join(folder, "manifest.json"), "utf8"));

beforeAll(async () => {
  await makeArtifact(base, "good", { codecs: CYCLE });
});

describe("an artifact of sparse codecs", () => {
  it("is written, described, verified and read", async () => {
    const { codecs } = manifestOf(good);
    const form = { bits: 4, group: 32, scheme: "symmetric" };
    expect(codecs["q4s-g32-n16"]).toEqual({ ...form, kept: { count: 16, of: 32 } });
    expect(codecs["q3s-g32-2of4"]).toEqual({ ...form, bits: 3, kept: { count: 2, of: 4 } });
    expect(codecs["q4s-g32"]).toEqual(form);
    const plain = readPlainly(good);
    const artifact = await openArtifact(good);
    for (const { id, rows } of matricesOf(artifact.spec)) {
      expect(await artifact.readRows(id, 0, rows)).toEqual(plain.get(id)?.map((x) => x + 0));
    }
    await artifact.close();
    expect(await verifyArtifact(good)).toEqual([]);
  });

  // Whoever wrote such a file has also hashed it: only its masks are wrong.
  it.each([
    [
      "more levels than its codec has",
      "blocks.1.mlp.up",
      0,
      /row 0, columns from 0 on: expected 8 stored levels, found/,
    ],
    [
      "levels of a row beyond the last",
      "blocks.0.attn.k",
      1,
      /row 30, columns from 0 on: expected 0 stored levels, found/,
    ],
  ])("is refused by verify where a mask stores %s", async (_, name, tile, message) => {
    const bad = copyArtifact(good, path.join(base, "bad"));
    const tensor = manifestOf(bad).tensors.find((one) => one.name === name);
    if (tensor?.kind !== "matrix") throw new Error(`${name} is no matrix`);
    const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
    changeFile(bad, tensor.file, (bytes) => {
      // After the first group's scales: the rows' bits of its first quad of columns, two rows a byte.
      const mask = tensor.offset + tile * CODECS[codecIdOf(tensor.codec)].packedBytes(16, tensor.cols) + 32;
      bytes[mask + 7 * tile] ^= 255;
      return bytes;
    });
    const bytes = readFileSync(path.join(bad, tensor.file));
    const own = hash(bytes.subarray(tensor.offset, tensor.offset + tensor.bytes));
    lieInManifest(bad, () => {
      const { tensors, files, ...rest } = manifestOf(bad);
      return {
        ...rest,
        files: files.map((file) => (file.name === tensor.file ? { ...file, sha256: hash(bytes) } : file)),
        tensors: tensors.map((one) => (one.name === name ? { ...one, sha256: own } : one)),
      };
    });
    const findings = await verifyArtifact(bad);
    expect(findings).toHaveLength(1);
    expect(findings[0]).toContain(`tensor ${name}: ${tensor.codec}: row `);
    expect(findings[0]).toMatch(message);
    // What it holds is read all the same, within its bounds.
    const artifact = await openArtifact(bad);
    expect((await artifact.readRows(name, 0, tensor.rows)).every(Number.isFinite)).toBe(true);
    await artifact.close();
  });
});
