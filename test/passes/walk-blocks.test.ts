import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { groupSequences } from "../../src/passes/rows.ts";
import { runRows, takeNumbers } from "../../src/passes/run-rows.ts";
import { everyDepth, walkBlocks } from "../../src/passes/walk-blocks.ts";
import type { AnyExecutor } from "../../src/runtime/executor.ts";
import { randomSource, smallSpec } from "../runtime/random-model.ts";
import { executorsOf, TEST_EXECUTORS } from "../runtime/test-executors.ts";
import { counted } from "./counted-executor.ts";

const SPEC = smallSpec({ blocks: 3 });
const SEQUENCES = [4, 0, 3, 5].map((length, i) => Int32Array.from({ length }, (_, at) => (i * 7 + at * at) % 37));

describe.each(TEST_EXECUTORS)("walkBlocks on %s", (kind) => {
  let inner: AnyExecutor;
  beforeAll(async () => {
    inner = await executorsOf(kind, "resident")(randomSource(SPEC));
  });
  afterAll(() => inner.dispose());

  it("shows every group at every depth asked for, all groups to one depth before the next", async () => {
    const { executor, live } = counted(inner);
    const groups = groupSequences(SEQUENCES, 7);
    const seen: string[] = [];
    const depths: number[] = [];
    await walkBlocks(executor, groups, {
      depths: [0, 1, 3],
      see: async ({ group, depth, state, before }) => {
        seen.push(`${depth}:${group.index}`);
        expect(before === null).toBe(depth === 0);
        // A group by itself, run at once to the depth.
        const wanted = await takeNumbers(executor, await runRows(executor, group, {}, depth));
        expect(await state.data()).toEqual(wanted);
        expect(await state.data()).toBe(await state.data());
      },
      onDepth: (depth) => depths.push(depth),
    });
    expect(seen).toEqual(["0:0", "0:1", "1:0", "1:1", "3:0", "3:1"]);
    expect(depths).toEqual([0, 1, 3]);
    expect(live()).toBe(0);
  });

  it("gives the rows of before as they were seen", async () => {
    const { executor, live } = counted(inner);
    const last = new Map<number, Float32Array>();
    await walkBlocks(executor, groupSequences(SEQUENCES, 7), {
      depths: [0, ...everyDepth(SPEC.blocks.length)],
      see: async ({ group, state, before }) => {
        if (before) expect(await before.data()).toEqual(last.get(group.index));
        last.set(group.index, await state.data());
      },
    });
    expect(live()).toBe(0);
  });

  it.each(["embed 2", "runBlocks 1", "runBlocks 4", "read 2"])(
    "leaves nothing behind when %s fails",
    async (failAt) => {
      const { executor, live } = counted(inner, failAt);
      const walk = walkBlocks(executor, groupSequences(SEQUENCES, 7), {
        depths: everyDepth(3),
        see: async ({ state }) => {
          await state.data();
        },
      });
      await expect(walk).rejects.toThrow(`failed: ${failAt}`);
      expect(live()).toBe(0);
    },
  );

  it("stops when asked to, with nothing left", async () => {
    const { executor, live } = counted(inner);
    const stop = new AbortController();
    let looks = 0;
    const walk = walkBlocks(executor, groupSequences(SEQUENCES, 7), {
      depths: everyDepth(3),
      signal: stop.signal,
      see: async () => {
        if (++looks === 2) stop.abort();
      },
    });
    await expect(walk).rejects.toThrow();
    expect(looks).toBe(2);
    expect(live()).toBe(0);
  });
});
