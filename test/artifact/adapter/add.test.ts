import { cpSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type AddedAdapter, addAdapter } from "../../../src/artifact/adapter/add.ts";
import { addExits, trunkSha256 } from "../../../src/artifact/exits/add.ts";
import { openArtifact, readManifest } from "../../../src/artifact/reader.ts";
import { verifyArtifact } from "../../../src/artifact/verify.ts";
import { Interrupted } from "../../../src/errors.ts";
import type { LowRankPart } from "../../../src/model/low-rank.ts";
import { f16ToF32Array, f32ToF16Array } from "../../../src/tensor/half.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { randomParts } from "../../support/adapters.ts";
import { expectSame } from "../../support/expect-same.ts";
import { changeAt, changeFile, copyArtifact, expectLiesFound, expectRefused, lieInManifest } from "../damage.ts";
import { tinyContents, tinyTable } from "../exits/tiny-exits.ts";
import { folderHashes, makeArtifact } from "../make-artifact.ts";
import { tinySpec } from "../tiny-source.ts";

const base = temporaryFolder();
const plain = path.join(base, "plain");
const good = path.join(base, "good");
const bad = path.join(base, "bad");
const spec = tinySpec(false);
const parts = randomParts(spec, { has: (block, role) => block < 2 && role !== "attn.k" });
const added: AddedAdapter = { parts, dtype: "F16", origin: { from: "a test" } };

/** The parts as they come back of f16. */
function rounded(some: readonly LowRankPart[]): LowRankPart[] {
  const round = (numbers: Float32Array) => f16ToF32Array(f32ToF16Array(numbers));
  return some.map((part) => ({ ...part, a: round(part.a), b: round(part.b) }));
}

async function additionsOf(folder: string): Promise<readonly LowRankPart[]> {
  const artifact = await openArtifact(folder);
  try {
    return await artifact.readAdditions();
  } finally {
    await artifact.close();
  }
}

beforeAll(async () => {
  await makeArtifact(base, "plain");
  cpSync(plain, good, { recursive: true });
  await addAdapter(good, added);
});

describe("addAdapter", () => {
  it("adds a file and a manifest, and leaves every other file as it is", async () => {
    const [before, after] = [folderHashes(plain), folderHashes(good)];
    const changed = Object.keys(after).filter((name) => after[name] !== before[name]);
    expect(changed).toEqual(["adapter.safetensors", "manifest.json"]);
    expect(await verifyArtifact(good)).toEqual([]);
    expectSame(await additionsOf(good), rounded(parts));
    expect(await additionsOf(plain)).toEqual([]);
    const { files, plan, adapter } = await readManifest(good);
    const bytes = files.reduce((sum, file) => (/weights|adapter/.test(file.name) ? sum + file.bytes : sum), 0);
    expect(plan.memory.fileBytes).toBe(bytes);
    expect(adapter?.origin).toEqual({ from: "a test" });
  });

  it("keeps f32 as it is, in any order of the parts, and gives the same bytes again", async () => {
    copyArtifact(plain, bad);
    await addAdapter(bad, { ...added, dtype: "F32", parts: parts.toReversed() });
    expect(await verifyArtifact(bad)).toEqual([]);
    expectSame(await additionsOf(bad), parts);
    await addAdapter(bad, added);
    expect(folderHashes(bad)).toEqual(folderHashes(good));
  });

  it("gets exits that are trained with it", async () => {
    copyArtifact(good, bad);
    const exits = { table: tinyTable(spec), contents: tinyContents(spec) };
    await addExits(bad, exits);
    expect(await verifyArtifact(bad)).toEqual([]);
    expectSame(await additionsOf(bad), rounded(parts));
    expect(await trunkSha256(bad)).toBe((await readManifest(good)).manifestSha256);
    await expect(addAdapter(bad, added)).rejects.toThrow("expected no exits, found exits trained without the adapter");
  });

  it("leaves the old artifact where it is stopped or refused", async () => {
    copyArtifact(good, bad);
    const before = folderHashes(bad);
    const refused = async (change: Partial<AddedAdapter>, message: RegExp) => {
      await expect(addAdapter(bad, { ...added, ...change })).rejects.toThrow(message);
      expect(folderHashes(bad)).toEqual(before);
    };
    await expect(addAdapter(bad, { ...added, signal: AbortSignal.abort() })).rejects.toThrow(Interrupted);
    const [first] = parts;
    const large = { ...first, a: first.a.map(() => 7e4) };
    await refused({ parts: [large] }, /blocks\.0\.attn\.q: expected finite F16 numbers, found 144 that are not/);
    const none = { ...first, b: first.b.map(() => Number.NaN) };
    await refused({ parts: [none], dtype: "F32" }, /expected finite F32 numbers, found 144/);
    await refused({ parts: [{ ...first, rank: 2 }] }, /a: expected 96 numbers, found 144/);
  });

  it("refuses an adapter beyond the planned budget, unless told otherwise", async () => {
    copyArtifact(plain, bad);
    const { totalBytes } = (await readManifest(bad)).plan.memory;
    lieInManifest(bad, (manifest) => changeAt(manifest, ["plan", "budgetBytes"], () => totalBytes + 100));
    await expect(addAdapter(bad, added)).rejects.toMatchObject({ code: "ADAPTER_OVER_BUDGET" });
    expect(readdirSync(bad)).not.toContain("adapter.safetensors");
    await addAdapter(bad, { ...added, overBudget: true });
    expect(await verifyArtifact(bad)).toEqual([]);
  });
});

describe("an artifact whose adapter is not what it says", () => {
  type Lie = readonly [name: string, keys: readonly (string | number)[], value: unknown, message: RegExp];
  const lies: readonly Lie[] = [
    [
      "none",
      ["adapter"],
      undefined,
      /files: expected no adapter\.safetensors, found adapter\.safetensors of \d+ bytes/,
    ],
    [
      "a block beyond",
      ["adapter", "parts", 9, "block"],
      9,
      /parts\.9: expected a matrix of the model, found blocks\.9/,
    ],
    ["another role", ["adapter", "parts", 0, "role"], "attn.x", /adapter\.parts\.0\.role/],
    ["a matrix twice", ["adapter", "parts", 1, "role"], "attn.q", /parts\.1: expected matrices in execution order/],
    ["another rank", ["adapter", "parts", 0, "rank"], 4, /files: expected adapter\.safetensors of \d+ bytes, found/],
    ["a rank beyond all bounds", ["adapter", "parts", 0, "rank"], 2 ** 40, /adapter\.parts\.0\.rank/],
    ["another type", ["adapter", "dtype"], "F32", /files: expected adapter\.safetensors of \d+ bytes, found/],
    ["an unknown type", ["adapter", "dtype"], "q4", /adapter\.dtype/],
    ["a factor that is none", ["adapter", "parts", 0, "factor"], "2", /adapter\.parts\.0\.factor/],
    ["no parts", ["adapter", "parts"], [], /adapter\.parts/],
    ["less memory", ["plan", "memory", "fileBytes"], 5, /memory: expected \d+ bytes/],
  ];

  it.each(lies)("is refused: %s", async (_, keys, value, message) => {
    copyArtifact(good, bad);
    lieInManifest(bad, (manifest) => changeAt(manifest, keys, () => value));
    await expectRefused(bad, message);
  });

  it("never leads to anything but a UserError or equal numbers", async () => {
    await expectLiesFound({
      ...{ good, bad, field: "adapter", words: ["F32"] },
      unseen: /^adapter\.(origin|parts\.\d+\.factor)/,
      read: additionsOf,
    });
  });

  it("is refused with half an adapter's file, another header, or none", async () => {
    const file = "adapter.safetensors";
    const damages: readonly (readonly [() => void, RegExp])[] = [
      [() => rmSync(path.join(bad, file)), /adapter\.safetensors: cannot read: no such file/],
      [() => changeFile(bad, file, (bytes) => bytes.subarray(0, 900)), /size: expected \d+ bytes/],
      [
        () =>
          changeFile(bad, file, (bytes) =>
            Buffer.from(bytes.toString("latin1").replace("blocks.0.attn.q.b", "blocks.0.attn.q.c"), "latin1"),
          ),
        /tensor blocks\.0\.attn\.q\.b: expected F16 \[48, 3\] at \d+, found none/,
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
    changeFile(bad, "adapter.safetensors", (bytes) => bytes.fill(0xff, bytes.length - 2));
    await (await openArtifact(bad)).close();
    const findings = (await verifyArtifact(bad)).join(" ");
    expect(findings).toMatch(/tensor blocks\.1\.mlp\.\w+\.b: expected finite numbers, found 1 that are not/);
    expect(findings).toMatch(/adapter\.safetensors: expected sha256/);
    await expect(additionsOf(bad)).rejects.toThrow("expected finite numbers");
  });
});
