import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, it, test } from "vitest";
import { layoutSafetensors, writeSafetensors } from "../../../src/formats/safetensors/index.ts";
import { newState, restoreState, saveState } from "../../../src/training/exits/training-state.ts";

const root = mkdtempSync(path.join(tmpdir(), "training-state-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const file = path.join(root, "state.safetensors");

const stateOf = (...values: number[]) => {
  const numbers = { values: Float32Array.from(values), shape: [values.length] as const, dtype: "F32" as const };
  const parameters = [{ name: "norm" as const, learned: true, decays: false, ...numbers }];
  return newState([parameters], [{ loss: 1, agreement: 0.5 }]);
};
const valuesOf = ({ heads }: ReturnType<typeof stateOf>) => [...heads[0].parameters[0].values];

it("gives back what was saved under the same key", async () => {
  await saveState(file, "k", { ...stateOf(1, 2), step: 3 });
  const state = stateOf(0, 0);
  expect(await restoreState(file, "k", state)).toBe(true);
  expect({ values: valuesOf(state), step: state.step }).toEqual({ values: [1, 2], step: 3 });
  expect(await restoreState(file, "other", state)).toBe(false);
});

const progress = (heads: unknown) => JSON.stringify({ key: "k", step: 3, idle: 0, done: false, heads });
const score = { loss: 1, agreement: 0.5 };
const head = { before: score, bestScore: score, bestStep: 0 };

test.each([
  ["progress that is not JSON", "{"],
  ["progress beyond a limit", '{"key": 1e999}'],
  ["progress of another form", "[]"],
  ["progress of other heads", progress([head, head])],
  ["tensors that are missing", progress([head])],
])("a damaged state is as good as none, and changes nothing: %s", async (_, text) => {
  const layout = layoutSafetensors([{ name: "0.norm", dtype: "F32", shape: [2] }], { metadata: { progress: text } });
  await writeSafetensors(file, layout, [{ name: "0.norm", bytes: new Uint8Array(8).fill(1) }]);
  const state = stateOf(0, 0);
  expect(await restoreState(file, "k", state)).toBe(false);
  expect({ values: valuesOf(state), step: state.step }).toEqual({ values: [0, 0], step: 0 });
});

it("takes a file cut short for none", async () => {
  await saveState(file, "k", stateOf(1, 2));
  writeFileSync(file, readFileSync(file).subarray(0, 40));
  expect(await restoreState(file, "k", stateOf(0, 0))).toBe(false);
});
