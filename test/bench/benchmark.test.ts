import { describe, expect, test } from "vitest";
import { BenchResult } from "../../src/bench/bench-result.ts";
import { benchmark, measureSpeeds } from "../../src/bench/benchmark.ts";
import { ScriptedExecutor } from "../decoding/scripted-executor.ts";

const OPTIONS = {
  promptTokens: 20,
  generateTokens: 5,
  repeats: 3,
  warmupRuns: 1,
  contextTokens: 64,
  kvType: "f32",
} as const;

/** An executor that takes 100 ms for a prompt and 20 ms for a token, and 1000 ms more for its first prompt. */
function slowExecutor() {
  const clock = { ms: 0 };
  let prompts = 0;
  const onChunk = (count: number) => {
    if (count > 1) clock.ms += prompts++ === 0 ? 1100 : 100;
    else clock.ms += 20;
  };
  return { executor: new ScriptedExecutor({ next: () => 65, onChunk }), now: () => clock.ms };
}

describe("measureSpeeds", () => {
  test("tells prompt from generation and leaves the warm-up out", async () => {
    const { executor, now } = slowExecutor();
    const speeds = await measureSpeeds(executor, { ...OPTIONS, now });
    expect(speeds.promptTokensPerSecond).toMatchObject({ median: 200, min: 200, max: 200, repeats: 3 });
    expect(speeds.generateTokensPerSecond).toMatchObject({ median: 50, repeats: 3 });
    expect(speeds.firstTokenMs.median).toBe(100);
    expect(speeds.firstRunTokenMs).toBe(1100);
    expect(executor.chunks).toEqual([20, 1, 1, 1, 1, 20, 1, 1, 1, 1, 20, 1, 1, 1, 1, 20, 1, 1, 1, 1]);
    expect(executor.live).toBe(0);
  });

  test.each([
    [{ contextTokens: 24 }, "20 prompt and 5 generated tokens: the context is 24 tokens"],
    [{ generateTokens: 1 }, "generate-tokens: expected at least 2, found 1"],
    [{ repeats: 0 }, "repeats: expected at least 1, found 0"],
    [{ promptTokens: 2.5 }, "prompt-tokens: expected a whole number from 1 up, found 2.5"],
  ])("refuses %o", async (change, message) => {
    await expect(measureSpeeds(slowExecutor().executor, { ...OPTIONS, ...change })).rejects.toThrow(message);
  });
});

test("a result states machine, date, peak memory and the cold start", async () => {
  const { executor, now } = slowExecutor();
  const subject = {
    model: "m",
    kind: "artifact",
    adapter: null,
    executor: executor.info,
    loadMs: 50,
    weightBytes: 10,
  } as const;
  const result = BenchResult.parse(await benchmark(executor, subject, { ...OPTIONS, now }));
  expect(result.coldFirstTokenMs).toBe(1150);
  expect(result.machine.node).toBe(process.version);
  expect(Date.parse(result.date)).toBeGreaterThan(0);
});
