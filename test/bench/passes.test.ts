import { expect, test } from "vitest";
import { measureContextSpeed } from "../../src/bench/context-speed.ts";
import { measurePassCosts } from "../../src/bench/pass-costs.ts";
import { ScriptedExecutor } from "../decoding/scripted-executor.ts";

/** An executor on which a pass takes 8 ms and 2 ms a row, wherever it is. */
function timed() {
  const clock = { ms: 0 };
  const onChunk = (count: number) => {
    clock.ms += 8 + 2 * count;
  };
  return { executor: new ScriptedExecutor({ next: () => 65, onChunk }), now: () => clock.ms };
}

test("passes of several rows are set against one row, after the prompt, and leave nothing behind", async () => {
  const { executor, now } = timed();
  const options = { rows: [4, 2], position: 20, contextTokens: 32, kvType: "f32", repeats: 3, now } as const;
  const costs = await measurePassCosts(executor, null, options);
  expect(costs.rows.map(({ rows, ratio }) => [rows, ratio])).toEqual([
    [1, 1],
    [2, 1.2],
    [4, 1.6],
  ]);
  expect(costs.rows[2].ms).toMatchObject({ median: 16, repeats: 3 });
  expect(costs.blocks[costs.blocks.length - 1].blocks).toBe(executor.spec.blocks.length);
  expect(costs.exitHead).toBeNull();
  expect(executor.live).toBe(0);
  await expect(measurePassCosts(executor, null, { ...options, rows: [13] })).rejects.toThrow(
    "rows: expected whole numbers from 1 to 12 (context less prompt), found 13",
  );
});

test("speed at the end of a context is set against the bytes read there", async () => {
  const { executor, now } = timed();
  const options = { contextTokens: 64, generateTokens: 4, startPosition: 8, kvType: "f32", repeats: 2, now } as const;
  const speed = await measureContextSpeed(executor, { ...options, weightBytesPerToken: 1000 });
  expect(speed.endPosition).toBe(60);
  expect(speed.startTokensPerSecond).toMatchObject({ median: 100, repeats: 2 });
  // Equal speeds: bytes a second grow as the bytes do.
  expect(speed.ofModel).toBeCloseTo(speed.endBytesPerToken / speed.startBytesPerToken, 10);
  expect(executor.live).toBe(0);
  const short = measureContextSpeed(executor, { ...options, contextTokens: 12, weightBytesPerToken: 1 });
  await expect(short).rejects.toThrow("context: expected at least 13 tokens, found 12");
});
