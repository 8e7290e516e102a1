import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openArtifact } from "../../src/artifact/reader.ts";
import type { FileMapper } from "../../src/artifact/tensor-file.ts";
import { matricesOf, vectorsOf } from "../../src/model/decoder-spec.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { makeArtifact, SMALL_FILES } from "./make-artifact.ts";

const base = temporaryFolder();
const folder = path.join(base, "artifact");

describe("an artifact whose files are mapped", () => {
  beforeAll(async () => {
    await makeArtifact(base, "artifact", { maxFileBytes: SMALL_FILES });
  });

  it("gives what one that is read gives, as views of one mapping a file", async () => {
    const mappings: ArrayBuffer[] = [];
    const mapFile: FileMapper = (file, bytes) => {
      const content = readFileSync(file);
      expect(content.length).toBe(bytes);
      const mapping = new ArrayBuffer(bytes);
      new Uint8Array(mapping).set(content);
      mappings.push(mapping);
      return { buffer: mapping, isTorn: () => false };
    };
    const read = await openArtifact(folder, { mapFile: null });
    const mapped = await openArtifact(folder, { mapFile });
    expect(mappings.length).toBe(read.manifest.files.filter(({ name }) => name.startsWith("weights-")).length);
    expect(mappings.length).toBeGreaterThan(1);
    for (const { id, rows } of matricesOf(read.spec)) {
      const found = await mapped.readMatrix(id);
      expect(found).toEqual(await read.readMatrix(id));
      expect(mappings).toContain(found.bytes.buffer);
      expect(found.bytes.byteOffset % 64).toBe(0);
      for (const [from, to] of [
        [0, rows],
        [rows - 1, rows],
        [3, 3],
      ]) {
        expect(await mapped.readRows(id, from, to)).toEqual(await read.readRows(id, from, to));
      }
      await expect(mapped.readRows(id, 0, rows + 1)).rejects.toThrow(RangeError);
    }
    for (const { id } of vectorsOf(read.spec)) expect(await mapped.readVector(id)).toEqual(await read.readVector(id));
    await Promise.all([read.close(), mapped.close()]);
    await expect(mapped.readMatrix("embedding")).rejects.toThrow("the artifact is closed");
  });

  it("is refused in one line where the system does not map", async () => {
    const refusing: FileMapper = () => {
      throw Object.assign(new Error("mmap failed"), { code: "EACCES" });
    };
    await expect(openArtifact(folder, { mapFile: refusing })).rejects.toMatchObject({ code: "FILE_ACCESS" });
  });

  it("maps by the native addon where that loads", async () => {
    const artifact = await openArtifact(folder);
    const read = await openArtifact(folder, { mapFile: null });
    for (const { id } of matricesOf(read.spec)) {
      expect(await artifact.readMatrix(id)).toEqual(await read.readMatrix(id));
    }
    await Promise.all([artifact.close(), read.close()]);
  });
});
