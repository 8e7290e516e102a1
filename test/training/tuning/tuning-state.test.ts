import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, it, test } from "vitest";
import { layoutSafetensors, writeSafetensors } from "../../../src/formats/safetensors/index.ts";
import type { LowRankPart } from "../../../src/model/low-rank.ts";
import { momentsOf, restoreTuning, saveTuning } from "../../../src/training/tuning/tuning-state.ts";

const root = mkdtempSync(path.join(tmpdir(), "tuning-state-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const file = path.join(root, "state.safetensors");

/** Additions to two matrices of 2 x 2. */
const partsOf = (value: number): LowRankPart[] =>
  (["attn.q", "mlp.down"] as const).map((role) => {
    const numbers = () => new Float32Array(2).fill(value);
    return { block: 0, role, rank: 1, factor: 2, a: numbers(), b: numbers() };
  });
const PROGRESS = { step: 3, past: [], losses: [2.5], updates: [3], before: [4] };

it("gives back what was saved under the same key, with moments of the parts that have some", async () => {
  const saved = { ...PROGRESS, parts: partsOf(0.5), moments: new Map() };
  momentsOf(saved, 1).b.second.set([7, 8]);
  await saveTuning(file, "k", saved);
  expect(await restoreTuning(file, "k", partsOf(0))).toEqual(saved);
  const parts = partsOf(0);
  expect(await restoreTuning(file, "other", parts)).toBeNull();
  expect(parts).toEqual(partsOf(0));
});

test.each([
  ["another part is missing", ["blocks.0.attn.q.a", "blocks.0.attn.q.b"], 2],
  ["a part is of another size", ["blocks.0.attn.q.a", "blocks.0.attn.q.b", "blocks.0.mlp.down.a"], 1],
])("a damaged state is as good as none, and changes nothing: %s", async (_, names, length) => {
  const layout = layoutSafetensors(
    names.map((name) => ({ name, dtype: "F32", shape: [length] })),
    { metadata: { progress: JSON.stringify({ key: "k", ...PROGRESS }) } },
  );
  await writeSafetensors(
    file,
    layout,
    names.map((name) => ({ name, bytes: new Uint8Array(4 * length).fill(1) })),
  );
  const parts = partsOf(0);
  expect(await restoreTuning(file, "k", parts)).toBeNull();
  expect(parts).toEqual(partsOf(0));
});
