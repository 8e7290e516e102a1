import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it, test } from "vitest";
import { Random } from "../../src/tensor/random.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { mutateTree } from "./mutate-tree.ts";
import { faultOf } from "./run-check.ts";
import { prepare, runCase } from "./subject.ts";
import { SUBJECTS } from "./subjects.ts";
import { textOf, treeOf } from "./tree.ts";

/** `npm run check:fuzz` does thousands, in processes whose time and memory are watched. */
const EACH = 8;
const SEED = 15;
const root = temporaryFolder();

describe("files changed at random end in a result or in one line and status 1", () => {
  test.each(SUBJECTS.map((subject) => [subject.name, subject] as const))("%s", async (name, subject) => {
    const prepared = await prepare(subject, path.join(root, name));
    const files = prepared.bases.flatMap(({ folder, targets }) => targets.map(({ file }) => path.join(folder, file)));
    const before = files.map((file) => readFileSync(file, "base64"));
    let done = 0;
    for (let number = 0; number < EACH; number++) {
      const { fault, check, stderr, results, refusals } = await runCase(prepared, { seed: SEED, number });
      // The clock is the machine's, which others use too: check:fuzz watches it.
      const found = fault?.endsWith(" ms") ? null : fault;
      expect({ number, found, check, stderr }).toEqual({ number, found: null, check, stderr });
      done += results + refusals;
    }
    expect(done).toBeGreaterThanOrEqual(EACH);
    expect(files.map((file) => readFileSync(file, "base64"))).toEqual(before);
  });
});

describe("the changes", () => {
  const document = treeOf({ a: [1, 2, { b: "text" }], c: null, d: true });
  const changed = (seed: number) =>
    textOf(mutateTree(document, new Random(seed).fork("subject/7"), { keys: ["a", "e"], parts: [] }));

  it("are the same for the same seed, and others for another", () => {
    const texts = Array.from({ length: 50 }, (_, seed) => changed(seed));
    expect(texts).toEqual(Array.from({ length: 50 }, (_, seed) => changed(seed)));
    expect(new Set(texts).size).toBeGreaterThan(30);
  });

  it("leave the document as it was", () => {
    expect(JSON.parse(textOf(document))).toEqual({ a: [1, 2, { b: "text" }], c: null, d: true });
  });
});

test.each([
  ["a result", 0, "layerwise: ended by --max-tokens after 1 tokens\n", null],
  ["one line", 1, "layerwise: f: expected a, found b\n", null],
  ["no word", 1, "", "status 1 without a word"],
  ["a bug", 70, "layerwise: this is a bug\n", "status 70"],
  ["a stack", 1, "layerwise: a\n    at b (c.ts:1:2)\n", "a line that is none of ours:     at b (c.ts:1:2)"],
  ["control characters", 1, "layerwise: \u001b[31mred\n", "control characters on standard error"],
  ["a long line", 1, `layerwise: ${"a".repeat(5000)}\n`, "a line of 5011 characters"],
])("an ending with %s", (_, code, stderr, fault) => {
  expect(faultOf({ code, stderr, ms: 1 })).toBe(fault);
});
