import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cachedSpans } from "../../src/passes/caches.ts";
import { rowsOf } from "../../src/passes/rows.ts";
import { moveRows, runNumbers, runRows, startRows, takeNumbers } from "../../src/passes/run-rows.ts";
import type { AnyExecutor } from "../../src/runtime/executor.ts";
import { randomSource, smallSpec } from "../runtime/random-model.ts";
import { executorsOf, TEST_EXECUTORS } from "../runtime/test-executors.ts";
import { counted } from "./counted-executor.ts";

const SPEC = smallSpec({ blocks: 3 });
const ROWS = rowsOf([Int32Array.of(3, 1, 4), Int32Array.of(1, 5)]);

describe.each(TEST_EXECUTORS)("rows on %s", (kind) => {
  let inner: AnyExecutor;
  beforeAll(async () => {
    inner = await executorsOf(kind, "resident")(randomSource(SPEC));
  });
  afterAll(() => inner.dispose());

  it("are the same at once, step by step and as numbers", async () => {
    const { executor, live } = counted(inner);
    const whole = await takeNumbers(executor, await runRows(executor, ROWS));
    const moving = await startRows(executor, ROWS);
    await moveRows(executor, moving, 1);
    const between = await executor.read(moving.hidden);
    await moveRows(executor, moving, 3);
    expect(moving.depth).toBe(3);
    expect(await takeNumbers(executor, moving.hidden)).toEqual(whole);
    expect(await runNumbers(executor, { data: between, spans: ROWS.spans }, [1, 3])).toEqual(whole);
    expect(live()).toBe(0);
  });

  it("stay where they are when a step fails", async () => {
    const { executor, live } = counted(inner, "runBlocks 2");
    const moving = await startRows(executor, ROWS);
    await moveRows(executor, moving, 1);
    const before = await executor.read(moving.hidden);
    await expect(moveRows(executor, moving, 2)).rejects.toThrow("failed");
    expect(moving.depth).toBe(1);
    expect(await takeNumbers(executor, moving.hidden)).toEqual(before);
    expect(live()).toBe(0);
  });

  it("leave nothing behind when a pass fails", async () => {
    for (const failAt of ["runBlocks 1", "read 1"]) {
      const { executor, live } = counted(inner, failAt);
      const data = new Float32Array(5 * SPEC.hiddenSize);
      await expect(runNumbers(executor, { data, spans: ROWS.spans }, [0, 1])).rejects.toThrow("failed");
      if (failAt === "runBlocks 1") {
        const again = counted(inner, failAt);
        await expect(runRows(again.executor, ROWS)).rejects.toThrow("failed");
        expect(again.live()).toBe(0);
      }
      expect(live()).toBe(0);
    }
  });

  it("have caches of the type asked for, each sequence its own", async () => {
    const { spans, dispose } = cachedSpans(inner, ROWS.spans, "f16");
    try {
      expect(spans.map(({ cache, position, count }) => [cache?.kvType, position, count])).toEqual([
        ["f16", 0, 3],
        ["f16", 0, 2],
      ]);
      expect(new Set(spans.map(({ cache }) => cache)).size).toBe(2);
      inner.release(await runRows(inner, { ids: ROWS.ids, spans }));
      expect(spans.map(({ cache }) => cache?.length(2))).toEqual([3, 2]);
    } finally {
      dispose();
    }
  });
});
