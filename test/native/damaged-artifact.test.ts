import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { openArtifact } from "../../src/artifact/reader.ts";
import { UserError } from "../../src/errors.ts";
import { createNativeExecutor } from "../../src/runtime/native/executor.ts";
import { changeAt, changeFile, copyArtifact, leavesOf, lieInManifest } from "../artifact/damage.ts";
import { makeArtifact, SMALL_FILES } from "../artifact/make-artifact.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { feed } from "../runtime/compare.ts";
import { ADDON_STATE, HAS_ADDON } from "./engines.ts";

const base = temporaryFolder();
const good = path.join(base, "good");
const bad = path.join(base, "bad");

/**
 * Opens the damaged copy and runs it: "ran", or the UserError's code. Anything else fails the test, a crash the whole
 * run.
 */
async function openAndRun(): Promise<string> {
  try {
    const source = await openArtifact(bad);
    try {
      const executor = await createNativeExecutor(source, { activations: "int8", threads: 2 });
      const cache = executor.createCache({ maxTokens: 12, kvType: "q8" });
      const logits = await feed(executor, cache, [1, 2, 3, 4, 5, 6, 7], 4);
      expect(logits.length).toBe(executor.spec.vocabSize);
      await executor.dispose();
    } finally {
      await source.close();
    }
    return "ran";
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    expect(error.message).not.toContain("\n");
    return error.code;
  }
}

const weightsFiles = () => readdirSync(good).filter((name) => name.endsWith(".safetensors"));

const ODD_VALUES: readonly unknown[] = [
  null,
  -1,
  0,
  1,
  2 ** 31,
  2 ** 53 - 1,
  1.5,
  1e300,
  "",
  "q8s-g32",
  [],
  {},
  true,
  "../x",
];

describe.skipIf(!HAS_ADDON)(`damaged artifacts on the native engine (${ADDON_STATE})`, () => {
  beforeAll(() => makeArtifact(base, "good", { maxFileBytes: SMALL_FILES }));

  it("the good one runs", async () => {
    copyArtifact(good, bad);
    expect(await openAndRun()).toBe("ran");
  });

  it.each([
    ["a norm's eps", ["spec", "blocks", 0, "attentionNorms", "pre", "eps"]],
    ["the last norm's eps", ["spec", "finalNorm", "eps"]],
    ["an attention scale", ["spec", "blocks", 0, "attention", "scale"]],
    ["a rotary base", ["spec", "blocks", 0, "attention", "rope", "theta"]],
  ] as const)("a number beyond f32 is refused or harmless: %s", async (_, keys) => {
    for (const value of [1e300, 1e-300]) {
      copyArtifact(good, bad);
      lieInManifest(bad, (manifest) => changeAt(manifest, keys, () => value));
      expect(["ran", "BAD_FIELD"]).toContain(await openAndRun());
    }
  });

  it("any lie in the manifest is refused or harmless", async () => {
    const leaves = leavesOf(JSON.parse(readFileSync(path.join(good, "manifest.json"), "utf8")));
    const outcomes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.nat(leaves.length - 1), fc.constantFrom(...ODD_VALUES), async (leaf, value) => {
        copyArtifact(good, bad);
        lieInManifest(bad, (manifest) => changeAt(manifest, leaves[leaf], () => value));
        outcomes.add(await openAndRun());
      }),
      { numRuns: 150 },
    );
    expect(outcomes.size).toBeGreaterThan(0);
  });

  it("any changed, cut or lengthened byte of manifest and headers is refused or harmless", async () => {
    const damage = fc.record({
      file: fc.nat(weightsFiles().length),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      mask: fc.integer({ min: 1, max: 255 }),
      kind: fc.constantFrom("change", "cut", "lengthen"),
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ file, at, mask, kind }) => {
        copyArtifact(good, bad);
        const name = file === 0 ? "manifest.json" : weightsFiles()[file - 1];
        changeFile(bad, name, (bytes) => {
          // The header of a weights file is its first 4,096 bytes or so.
          const index = Math.floor(at * Math.min(bytes.length - 1, 6000));
          if (kind === "cut") return bytes.subarray(0, index);
          if (kind === "lengthen") return Buffer.concat([bytes, Buffer.alloc(1 + index)]);
          bytes[index] ^= mask;
          return bytes;
        });
        const found = await openAndRun();
        if (kind !== "change") expect(found).not.toBe("ran");
      }),
      { numRuns: 100 },
    );
  });

  it("any contents of the tensors run, NaN and infinities among them", async () => {
    for (const fill of [0x00, 0xff, 0x7f, 0x7c, 0x80]) {
      copyArtifact(good, bad);
      for (const name of weightsFiles()) {
        changeFile(bad, name, (bytes) => {
          const dataFrom = 8 + Number(bytes.readBigUInt64LE(0));
          return bytes.fill(fill, dataFrom);
        });
      }
      expect(await openAndRun()).toBe("ran");
    }
  });
});
