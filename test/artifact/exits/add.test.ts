import { cpSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { addExits, memoryOfExits, trunkSha256 } from "../../../src/artifact/exits/add.ts";
import { readExitsFile } from "../../../src/artifact/exits/file.ts";
import { openArtifact, readManifest } from "../../../src/artifact/reader.ts";
import { verifyArtifact } from "../../../src/artifact/verify.ts";
import { Interrupted } from "../../../src/errors.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { changeAt, changeFile, copyArtifact, expectLiesFound, expectRefused, lieInManifest } from "../damage.ts";
import { folderHashes, makeArtifact } from "../make-artifact.ts";
import { tinySpec } from "../tiny-source.ts";
import { TINY_SHAPE, tinyContents, tinyTable } from "./tiny-exits.ts";

const base = temporaryFolder();
const plain = path.join(base, "plain");
const good = path.join(base, "good");
const bad = path.join(base, "bad");
const spec = tinySpec(false);
const table = tinyTable(spec);
const contents = tinyContents(spec);

beforeAll(async () => {
  await makeArtifact(base, "plain");
  cpSync(plain, good, { recursive: true });
  await addExits(good, { table, contents });
});

describe("addExits", () => {
  it("adds a file and a manifest, and leaves every other file as it is", async () => {
    const [before, after] = [folderHashes(plain), folderHashes(good)];
    expect(Object.keys(after).filter((name) => after[name] !== before[name])).toEqual([
      "exits.safetensors",
      "manifest.json",
    ]);
    expect(await verifyArtifact(good)).toEqual([]);
    const artifact = await openArtifact(good);
    await artifact.close();
    expect(artifact.manifest.exits).toEqual(table);
    expect(await readExitsFile(good, spec, table)).toEqual(contents);
    const bytes = artifact.manifest.files.reduce(
      (sum, file) => (/weights|exits/.test(file.name) ? sum + file.bytes : sum),
      0,
    );
    expect(artifact.memory.fileBytes).toBe(bytes);
    expect(artifact.memory).toEqual(memoryOfExits(await readManifest(plain), TINY_SHAPE));
  });

  it("does not write the weights anew", async () => {
    copyArtifact(plain, bad);
    const weights = readdirSync(bad).filter((name) => name.startsWith("weights"));
    const nodes = () => weights.map((name) => statSync(path.join(bad, name)).ino);
    const before = nodes();
    await addExits(bad, { table, contents });
    expect(nodes()).toEqual(before);
  });

  it("names the artifact that the exits were trained on, and gives the same bytes again", async () => {
    const { manifestSha256 } = await readManifest(plain);
    expect(await trunkSha256(plain)).toBe(manifestSha256);
    expect(await trunkSha256(good)).toBe(manifestSha256);
    copyArtifact(good, bad);
    await addExits(bad, { table, contents });
    expect(folderHashes(bad)).toEqual(folderHashes(good));
  });

  it("replaces exits by others", async () => {
    copyArtifact(good, bad);
    const shape = { exits: [{ kind: "adapter" as const, rank: 2 }], vocabulary: "full" as const };
    await addExits(bad, { table: tinyTable(spec, shape), contents: tinyContents(spec, shape) });
    expect(await verifyArtifact(bad)).toEqual([]);
    expect((await readManifest(bad)).exits?.vocabulary).toBe("full");
    expect((await readManifest(bad)).plan.memory.items.some(({ key }) => key === "exits.vocabulary")).toBe(false);
  });

  it("leaves the old artifact where it is stopped, refused or fails", async () => {
    copyArtifact(good, bad);
    const before = folderHashes(bad);
    const untouched = () => expect(folderHashes(bad)).toEqual(before);
    await expect(addExits(bad, { table, contents, signal: AbortSignal.abort() })).rejects.toThrow(Interrupted);
    untouched();
    await expect(addExits(bad, { table, contents: { ...contents, ids: null } })).rejects.toThrow(/exits\.ids/);
    untouched();
    const deep = { ...table, exits: table.exits.map((exit, i) => ({ ...exit, blocks: i + 3 })) };
    await expect(addExits(bad, { table: deep, contents })).rejects.toThrow(/exits\.1\.blocks: expected fewer than 4/);
    untouched();
  });

  it("refuses exits beyond the planned budget, unless told otherwise", async () => {
    copyArtifact(plain, bad);
    const { totalBytes } = (await readManifest(bad)).plan.memory;
    lieInManifest(bad, (manifest) => changeAt(manifest, ["plan", "budgetBytes"], () => totalBytes + 100));
    await expect(addExits(bad, { table, contents })).rejects.toMatchObject({ code: "EXITS_OVER_BUDGET" });
    expect(readdirSync(bad)).not.toContain("exits.safetensors");
    await addExits(bad, { table, contents, overBudget: true });
    expect(await verifyArtifact(bad)).toEqual([]);
  });

  it("is whole but for a file that nobody reads where a replacement was killed before its last step", async () => {
    copyArtifact(good, bad);
    cpSync(path.join(plain, "manifest.json"), path.join(bad, "manifest.json"));
    const shape = { exits: [{ kind: "linear" as const, rank: null }], vocabulary: { ids: 9 } };
    const waiting = `${path.join(bad, "exits.safetensors")}: expected no file beside those of the manifest, found one`;
    expect(await verifyArtifact(bad)).toEqual([waiting]);
    await addExits(bad, { table: tinyTable(spec, shape), contents: tinyContents(spec, shape) });
    expect(await verifyArtifact(bad)).toEqual([]);
  });
});

describe("an artifact whose exits are not what it says", () => {
  type Lie = readonly [name: string, keys: readonly (string | number)[], value: unknown, message: RegExp];
  const lies: readonly Lie[] = [
    ["no exits", ["exits"], [], /files: expected no exits\.safetensors, found exits\.safetensors of \d+ bytes/],
    [
      "an exit after the last block",
      ["exits", "exits", 1, "blocks"],
      4,
      /exits\.exits\.1\.blocks: expected fewer than 4/,
    ],
    ["exits out of order", ["exits", "exits", 0, "blocks"], 3, /exits\.exits: expected exits by rising blocks/],
    ["a wider adapter", ["exits", "exits", 0, "rank"], 5, /exits\.exits\.0\.bytes: expected/],
    [
      "an adapter beyond all bounds",
      ["exits", "exits", 0, "rank"],
      2 ** 40,
      /exits\.exits\.0\.rank: expected at most 48/,
    ],
    ["an adapter without a rank", ["exits", "exits", 0, "rank"], null, /exits\.exits\.0\.rank: expected a rank/],
    ["another kind", ["exits", "exits", 1, "kind"], "mlp", /exits\.exits\.1\.kind/],
    ["other bytes", ["exits", "exits", 0, "bytes"], 12, /exits\.exits\.0\.bytes: expected \d+, found 12/],
    ["more ids than the model", ["exits", "vocabulary", "ids"], 83, /exits\.vocabulary\.ids: expected fewer than/],
    ["other ids", ["exits", "vocabulary"], "full", /exits\.exits\.0\.bytes/],
    ["an unknown confidence", ["exits", "confidence"], "luck", /exits\.confidence/],
    ["a threshold too few", ["exits", "levels", 0, "thresholds"], [1], /exits\.levels\.0: expected one entry/],
    ["a threshold that is no number", ["exits", "levels", 0, "thresholds", 0], "1", /exits\.levels\.0\.thresholds\.0/],
    ["a depth beyond the model", ["exits", "levels", 0, "report", "meanBlocks"], 5, /meanBlocks: expected at most 4/],
    ["levels out of order", ["exits", "levels", 0, "epsilon"], 0.99, /exits\.levels: expected levels by rising/],
    ["a larger file", ["files", 1, "bytes"], 5, /files: expected exits\.safetensors of \d+ bytes, found/],
    ["another name", ["files", 1, "name"], "exit.safetensors", /files: expected exits\.safetensors .* found no exits/],
    ["less memory", ["plan", "memory", "fileBytes"], 5, /memory: expected \d+ bytes/],
  ];

  it.each(lies)("is refused: %s", async (_, keys, value, message) => {
    copyArtifact(good, bad);
    lieInManifest(bad, (manifest) => changeAt(manifest, keys, () => value));
    await expectRefused(bad, message);
  });

  it("never leads to anything but a UserError or equal heads", async () => {
    await expectLiesFound({
      ...{ good, bad, field: "exits", words: ["full"] },
      unseen: /^exits\.(levels\.\d+\.(epsilon|thresholds|report)|training|exits\.\d+\.blocks)/,
      read: async (folder) => expect(await readExitsFile(folder, spec, table)).toEqual(contents),
    });
  });

  it("is refused with half an exits file, another header, or none", async () => {
    const damages: readonly (readonly [() => void, RegExp])[] = [
      [() => rmSync(path.join(bad, "exits.safetensors")), /exits\.safetensors: cannot read: no such file/],
      [() => changeFile(bad, "exits.safetensors", (bytes) => bytes.subarray(0, 900)), /size: expected \d+ bytes/],
      [
        () =>
          changeFile(bad, "exits.safetensors", (bytes) =>
            Buffer.from(bytes.toString("latin1").replace("exits.0.up", "exits.0.un"), "latin1"),
          ),
        /tensor exits\.0\.up: expected F16 \[48, 4\] at \d+, found none/,
      ],
    ];
    for (const [damage, message] of damages) {
      copyArtifact(good, bad);
      damage();
      await expectRefused(bad, message);
    }
  });

  it("is found by verify where a number of the file changed, by its hash and by its value", async () => {
    copyArtifact(good, bad);
    changeFile(bad, "exits.safetensors", (bytes) => {
      bytes.fill(0xff, bytes.length - 2);
      return bytes;
    });
    await (await openArtifact(bad)).close();
    const findings = (await verifyArtifact(bad)).join(" ");
    expect(findings).toMatch(/tensor exits\.1\.matrix: \d+: expected a finite number, found NaN/);
    expect(findings).toMatch(/exits\.safetensors: expected sha256/);
    expect(readFileSync(path.join(bad, "manifest.json"))).toEqual(readFileSync(path.join(good, "manifest.json")));
  });
});
