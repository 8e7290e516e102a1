import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../../src/model/checkpoint.ts";
import { rowsOf } from "../../../src/passes/rows.ts";
import { runRows } from "../../../src/passes/run-rows.ts";
import { createExecutor } from "../../../src/runtime/create-executor.ts";
import type { AnyExecutor } from "../../../src/runtime/executor.ts";
import type { Example } from "../../../src/training/tuning/examples.ts";
import { TuneSettings } from "../../../src/training/tuning/settings.ts";
import { tuneModel } from "../../../src/training/tuning/tune-model.ts";
import { executorsOf, TEST_EXECUTORS } from "../../runtime/test-executors.ts";
import { ARCHITECTURES } from "../../support/fixtures.ts";

const folder = mkdtempSync(path.join(tmpdir(), "adapter-executors-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const example = (first: number): Example => {
  const ids = Int32Array.from({ length: 14 }, (_, i) => 1 + ((first + 3 * i) % 40));
  return { ids, learned: new Uint8Array(14).fill(1, 1) };
};

describe.each(["llama-gqa", "neox-parallel", "phi"])("an adapter tuned on %s", (name) => {
  it("gives the same logits on all executors, and a lower loss than none", async () => {
    const source = await openCheckpoint(path.join(ARCHITECTURES, name));
    const executor = await createExecutor(source, { residency: "resident", activations: "f32", threads: 1 });
    const { parts, before, after } = await tuneModel({
      ...{ source, executor, modelId: name, train: [0, 5, 9, 14].map(example), heldOut: [example(2)] },
      settings: TuneSettings.parse({ window: 1, rank: 2, steps: 12, accumulate: 2, rate: 0.02, clip: 1 }),
      folder: mkdtempSync(path.join(folder, "run-")),
    });
    expect(after[after.length - 1]).toBeLessThan(before[before.length - 1]);
    const { ids } = example(2);
    const logitsOn = async (one: AnyExecutor, adapter: boolean) => {
      await one.loadAdapter("tuned", parts);
      const hidden: unknown = await runRows(one, rowsOf([ids]), adapter ? { adapter: "tuned" } : {});
      return one.logits(hidden);
    };
    const wanted = await logitsOn(executor, true);
    const largest = wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const apart = (found: Float32Array) => found.reduce((most, x, i) => Math.max(most, Math.abs(x - wanted[i])), 0);
    expect(apart(await logitsOn(executor, false))).toBeGreaterThan(1e-2 * largest);
    for (const kind of TEST_EXECUTORS) {
      const other = await executorsOf(kind, "resident")(source);
      expect(apart(await logitsOn(other, true)), kind).toBeLessThan(1e-4 * largest);
      await other.dispose();
    }
    await executor.dispose();
    await source.close();
  });
});
