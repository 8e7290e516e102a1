import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { moveIntoPlace } from "../../src/artifact/artifact-folder.ts";
import { JOURNAL_NAME } from "../../src/artifact/journal.ts";
import { openArtifact } from "../../src/artifact/reader.ts";
import { verifyArtifact } from "../../src/artifact/verify.ts";
import { ArtifactWriter } from "../../src/artifact/writer.ts";
import { CODECS } from "../../src/codecs/index.ts";
import { Interrupted, UserError } from "../../src/errors.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import { matricesOf, vectorsOf } from "../../src/model/decoder-spec.ts";
import { nearest } from "../../src/quantization/nearest.ts";
import { packMatrix } from "../../src/quantization/overlay.ts";
import { packerOf } from "../../src/quantization/packer.ts";
import { quantizeModel } from "../../src/quantization/quantize-model.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { folderHashes, makeArtifact, SMALL_FILES, tokenizerFolder, writerOptions } from "./make-artifact.ts";
import { tinyParts, tinySource } from "./tiny-source.ts";

const base = temporaryFolder();

describe.each([true, false])("an artifact (tied: %s)", (tied) => {
  const name = `artifact-${tied}`;
  const folder = path.join(base, name);
  beforeAll(async () => {
    await makeArtifact(base, name, { tied, maxFileBytes: SMALL_FILES });
  });

  it("gives back what was packed, whole and by rows", async () => {
    const artifact = await openArtifact(folder);
    const source = tinySource(artifact.spec);
    for (const { id } of vectorsOf(artifact.spec))
      expect(await artifact.readVector(id)).toEqual(await source.readVector(id));
    for (const { id, rows, cols } of matricesOf(artifact.spec)) {
      const found = await artifact.readMatrix(id);
      const dense = await source.readMatrix(id);
      if (dense.kind !== "dense") throw new Error("the tiny source is dense");
      expect(found).toEqual(await packMatrix(id, dense, found.codec, packerOf(plainMaths, nearest)));
      const all = CODECS[found.codec].unpackRows(found, 0, rows);
      for (const [from, to] of [
        [0, rows],
        [0, 1],
        [rows - 1, rows],
        [15, 18],
        [5, 5],
        [rows, rows],
      ]) {
        expect(await artifact.readRows(id, from, to)).toEqual(all.slice(from * cols, to * cols));
      }
      await expect(artifact.readRows(id, 0, rows + 1)).rejects.toThrow(RangeError);
    }
    await expect(artifact.readMatrix("finalNorm.weight")).rejects.toThrow(/no matrix/);
    await expect(artifact.readVector("embedding")).rejects.toThrow(/no vector/);
    await artifact.close();
  });

  it("has exactly the bytes that were predicted, aligned as the format says", async () => {
    const artifact = await openArtifact(folder);
    await artifact.close();
    const { files, tensors, plan } = artifact.manifest;
    const weights = files.filter((file) => file.name.startsWith("weights-"));
    expect(weights.length).toBeGreaterThan(1);
    expect(weights.reduce((sum, file) => sum + file.bytes, 0)).toBe(plan.memory.fileBytes);
    for (const file of files) expect(readFileSync(path.join(folder, file.name)).length).toBe(file.bytes);
    for (const tensor of tensors) expect(tensor.bytes % 64).toBe(0);
    const startOf = (prefix: string) => tensors.find((tensor) => tensor.name.startsWith(prefix))?.offset ?? -1;
    for (const prefix of ["embedding", "blocks.0.", "blocks.1.", "blocks.2.", "blocks.3.", "finalNorm."]) {
      expect(startOf(prefix) % 4096).toBe(0);
    }
    expect(await verifyArtifact(folder)).toEqual([]);
  });
});

/** Writes the first `count + 1` tensors and stops. */
async function writePart(folder: string, count: number, key = "k"): Promise<void> {
  const settings = writerOptions(folder, { maxFileBytes: SMALL_FILES, key });
  const writer = await ArtifactWriter.open(settings);
  const controller = new AbortController();
  let written = 0;
  const source = tinySource(settings.spec);
  const stopping = {
    ...source,
    readVector: (id: string) => {
      if (++written > count) controller.abort();
      return source.readVector(id);
    },
    readRows: (id: string, from: number, to: number) => {
      if (from === 0 && ++written > count) controller.abort();
      return source.readRows(id, from, to);
    },
  };
  const work = quantizeModel({
    source: stopping,
    maths: plainMaths,
    quantizer: "nearest",
    writer,
    signal: controller.signal,
  });
  if (count + 1 < writer.pending.length) await expect(work).rejects.toThrow(Interrupted);
  else await work;
  await writer.suspend();
}

async function finishAll(folder: string, key = "k") {
  const settings = writerOptions(folder, { maxFileBytes: SMALL_FILES, key });
  const writer = await ArtifactWriter.open(settings);
  const pending = writer.pending.length;
  await quantizeModel({ source: tinySource(settings.spec), maths: plainMaths, quantizer: "nearest", writer });
  await writer.finish(tinyParts(base, tokenizerFolder(base)));
  return pending;
}

describe("a run that is stopped and continued", () => {
  let undisturbed: Record<string, string>;
  let total: number;
  beforeAll(async () => {
    await makeArtifact(base, "undisturbed", { maxFileBytes: SMALL_FILES });
    undisturbed = folderHashes(path.join(base, "undisturbed"));
    total = await finishAll(path.join(base, "undisturbed-again"));
    expect(folderHashes(path.join(base, "undisturbed-again"))).toEqual(undisturbed);
  });

  it("ends with the same bytes wherever it was stopped, and does not begin anew", async () => {
    let most = 0;
    for (let count = 0; count < total; count += 7) {
      const folder = path.join(base, `stopped-${count}`);
      await writePart(folder, count);
      expect(existsSync(folder)).toBe(false);
      const pending = await finishAll(folder);
      expect(pending).toBeLessThanOrEqual(total);
      most = Math.max(most, total - pending);
      expect(folderHashes(folder)).toEqual(undisturbed);
      expect(existsSync(`${folder}.partial`)).toBe(false);
    }
    expect(most).toBeGreaterThan(total / 2);
  });

  it("goes on when a file had its final name and the journal did not say so yet", async () => {
    for (let segments = 0; segments <= 6; segments += 2) {
      const folder = path.join(base, `killed-${segments}`);
      await writePart(folder, Number.POSITIVE_INFINITY);
      const file = path.join(`${folder}.partial`, JOURNAL_NAME);
      const journal: object = JSON.parse(readFileSync(file, "utf8"));
      writeFileSync(file, JSON.stringify({ ...journal, finishedSegments: segments }));
      await finishAll(folder);
      expect(folderHashes(folder)).toEqual(undisturbed);
    }
  });

  it("begins anew under another key, and where the unfinished files are damaged", async () => {
    const folder = path.join(base, "anew");
    await writePart(folder, 20, "other");
    expect(await finishAll(folder)).toBe(total);
    expect(folderHashes(folder)).toEqual(undisturbed);
    for (const damage of ["truncated", "missing", "journal"]) {
      const damaged = path.join(base, `damaged-${damage}`);
      await writePart(damaged, Number.POSITIVE_INFINITY);
      const first = path.join(`${damaged}.partial`, Object.keys(folderHashes(`${damaged}.partial`))[1]);
      if (damage === "truncated") writeFileSync(first, readFileSync(first).subarray(0, 5000));
      if (damage === "missing") renameSync(first, `${first}.gone`);
      if (damage === "journal") writeFileSync(path.join(`${damaged}.partial`, JOURNAL_NAME), '{"key":');
      expect(await finishAll(damaged)).toBe(total);
      expect(folderHashes(damaged)).toEqual(undisturbed);
    }
  });

  it("vouches for no bytes that changed on the disk", async () => {
    const folder = path.join(base, "changed");
    await writePart(folder, Number.POSITIVE_INFINITY);
    const first = path.join(`${folder}.partial`, Object.keys(folderHashes(`${folder}.partial`))[1]);
    const bytes = readFileSync(first);
    bytes[bytes.length - 100] ^= 1;
    writeFileSync(first, bytes);
    await expect(finishAll(folder)).rejects.toThrow(/found other bytes than were written/);
    expect(existsSync(folder)).toBe(false);
  });
});

describe("quantizeModel", () => {
  it("gives the same bytes whatever the bands, and reports each matrix", async () => {
    await makeArtifact(base, "whole");
    const settings = writerOptions(path.join(base, "bands"));
    const writer = await ArtifactWriter.open(settings);
    const done: number[] = [];
    const source = tinySource(settings.spec);
    const onProgress = (progress: { done: number }) => done.push(progress.done);
    await quantizeModel({ source, maths: plainMaths, quantizer: "nearest", writer, bandWeights: 1, onProgress });
    await writer.finish(tinyParts(base, tokenizerFolder(base)));
    expect(folderHashes(path.join(base, "bands"))).toEqual(folderHashes(path.join(base, "whole")));
    expect(done).toEqual(matricesOf(settings.spec).map((_, i) => i + 1));
  });

  it("refuses a source whose rows are not the spec's", async () => {
    const settings = writerOptions(path.join(base, "wrong-source"));
    const writer = await ArtifactWriter.open(settings);
    const source = { ...tinySource(settings.spec), readRows: async () => new Float32Array(5) };
    await expect(quantizeModel({ source, maths: plainMaths, quantizer: "nearest", writer })).rejects.toThrow(
      /5 weights in 83 rows of 48/,
    );
    await writer.abort();
  });
});

describe("verify", () => {
  it("finds a tokenizer file that was laid beside the listed ones, and leaves other files alone", async () => {
    await makeArtifact(base, "joined");
    const folder = path.join(base, "joined");
    writeFileSync(path.join(folder, "README.md"), "notes");
    expect(await verifyArtifact(folder)).toEqual([]);
    writeFileSync(path.join(folder, "generation_config.json"), '{"eos_token_id": 1}');
    expect(await verifyArtifact(folder)).toEqual([expect.stringContaining("generation_config.json: expected no")]);
  });
});

describe("the place of an artifact", () => {
  it("is never taken from what stands there, but on request from another artifact", async () => {
    const folder = path.join(base, "taken");
    await makeArtifact(base, "taken");
    const before = folderHashes(folder);
    const refused = { code: "OUTPUT_EXISTS" };
    await expect(makeArtifact(base, "taken", { codecs: ["f16"] })).rejects.toMatchObject(refused);
    expect(folderHashes(folder)).toEqual(before);
    await makeArtifact(base, "taken", { codecs: ["f16"], overwrite: true });
    expect(folderHashes(folder)).not.toEqual(before);
    expect(existsSync(`${folder}.partial.old`)).toBe(false);
    mkdirSync(path.join(base, "mine"));
    writeFileSync(path.join(base, "mine", "thesis.txt"), "text");
    await expect(makeArtifact(base, "mine", { overwrite: true })).rejects.toMatchObject(refused);
  });

  it("leaves a folder beside it alone that is called as somebody would call a backup", async () => {
    const backup = path.join(base, "kept.old");
    mkdirSync(backup);
    writeFileSync(path.join(backup, "manifest.json"), "mine");
    await makeArtifact(base, "kept");
    await makeArtifact(base, "kept", { codecs: ["f16"], overwrite: true });
    expect(readFileSync(path.join(backup, "manifest.json"), "utf8")).toBe("mine");
    expect(readdirSync(base).filter((name) => name.startsWith("kept"))).toEqual(["kept", "kept.old"]);
  });

  it("is given back where the new artifact cannot be moved there", async () => {
    await makeArtifact(base, "restored");
    const folder = path.join(base, "restored");
    const before = folderHashes(folder);
    await expect(moveIntoPlace(path.join(base, "vanished"), folder, true)).rejects.toMatchObject({
      code: "FILE_NOT_FOUND",
    });
    expect(folderHashes(folder)).toEqual(before);
  });

  it("is refused in one line where it cannot be written", async () => {
    writeFileSync(path.join(base, "file"), "");
    const failure = await makeArtifact(path.join(base), "file/artifact").catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UserError);
    expect(String(failure)).not.toContain("\n");
  });

  it("stays empty when the run is given up", async () => {
    const folder = path.join(base, "given-up");
    const writer = await ArtifactWriter.open(writerOptions(folder));
    await writer.write("embedding", new Uint8Array(writer.layout.segments[0][0].bytes));
    await writer.abort();
    expect([existsSync(folder), existsSync(`${folder}.partial`)]).toEqual([false, false]);
  });
});

describe("the writer", () => {
  it("takes tensors in their order and size only, and all of them", async () => {
    const writer = await ArtifactWriter.open(writerOptions(path.join(base, "order")));
    await expect(writer.write("head", new Uint8Array(64))).rejects.toThrow(/expected tensor embedding/);
    await expect(writer.write("embedding", new Uint8Array(64))).rejects.toThrow(/bytes/);
    await expect(writer.finish(tinyParts(base, []))).rejects.toThrow(/not written/);
    await writer.abort();
  });

  it("refuses a plan that is not of the model or predicts other bytes", async () => {
    const settings = writerOptions(path.join(base, "plan"));
    const { plan } = settings;
    const units = plan.units.slice(1);
    await expect(ArtifactWriter.open({ ...settings, plan: { ...plan, units } })).rejects.toThrow(/no codec/);
    const extra = [...plan.units, { ...plan.units[0], id: "blocks.9.attn.q" }];
    await expect(ArtifactWriter.open({ ...settings, plan: { ...plan, units: extra } })).rejects.toThrow(/units/);
    const memory = { ...plan.memory, fileBytes: plan.memory.fileBytes + 1 };
    const writer = await ArtifactWriter.open({ ...settings, plan: { ...plan, memory } });
    await quantizeModel({ source: tinySource(settings.spec), maths: plainMaths, quantizer: "nearest", writer });
    await expect(writer.finish(tinyParts(base, []))).rejects.toThrow(/predicted/);
    await writer.abort();
  });
});
