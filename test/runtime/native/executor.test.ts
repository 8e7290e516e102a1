import { describe, expect, it } from "vitest";
import type { WeightSource } from "../../../src/model/weight-source.ts";
import { createNativeExecutor, type NativeExecutor, type NativeOptions } from "../../../src/runtime/native/executor.ts";
import { additionCases } from "../addition-cases.ts";
import { feed, hiddenStates, logitsOf } from "../compare.ts";
import { sequenceCases, tokens } from "../executor-cases.ts";
import { packedSource, randomSource, smallSpec, unpackedSource } from "../random-model.ts";
import { weightCases } from "../weight-cases.ts";
import { HAS_ADDON, needsAddon } from "./addon-state.ts";

/** Runs `work` with an executor that computes in f32 and checks that no hidden state is left behind. */
async function withExecutor<T>(
  source: WeightSource,
  options: NativeOptions,
  work: (executor: NativeExecutor) => Promise<T>,
): Promise<T> {
  await using executor = await createNativeExecutor(source, { activations: "f32", ...options });
  const result = await work(executor);
  expect(executor.liveHidden).toBe(0);
  return result;
}

describe.skipIf(!HAS_ADDON)(needsAddon("native executor"), () => {
  sequenceCases(withExecutor);
  weightCases(withExecutor);
  additionCases(withExecutor);

  it("gives the same bits packed, streamed, and from the unpacked weights", async () => {
    const packed = await packedSource(randomSource(smallSpec({ tied: true })), "q4a-g32");
    const ids = tokens(12);
    const run = (source: WeightSource, options: NativeOptions) =>
      withExecutor(source, options, (executor) => logitsOf(executor, ids));
    const reference = await run(packed, {});
    const dense = await unpackedSource(packed);
    expect(await run(packed, { residency: "streamed" })).toEqual(reference);
    expect(await run(dense, { residency: "resident" })).toEqual(reference);
    expect(await run(dense, { residency: "streamed" })).toEqual(reference);
  });

  it("reads a dense block when it is reached, once a pass, and none at opening that it does not keep", async () => {
    const source = randomSource(smallSpec({ blocks: 3 }));
    await withExecutor(source, { residency: "streamed" }, async (executor) => {
      expect(source.reads).toEqual([]);
      const states = await hiddenStates(executor, tokens(4));
      expect(states).toHaveLength(4);
      const blocks = source.reads.map((id) => id.split(".")[1]);
      expect([...new Set(blocks)]).toEqual(["0", "1", "2"]);
      expect(source.reads).toHaveLength(21);
    });
  });

  it("keeps the arrays of released hidden states for the next pass", async () => {
    await withExecutor(randomSource(smallSpec()), { residency: "resident" }, async (executor) => {
      const cache = executor.createCache({ maxTokens: 8 });
      const seen = new Set<Float32Array>();
      for (const id of tokens(8)) {
        const embedded = await executor.embed(Int32Array.of(id));
        const span = { cache, position: cache.length(0), count: 1 };
        const hidden = await executor.runBlocks(embedded, 0, 2, [span]);
        for (const state of [embedded, hidden]) {
          seen.add(state.data);
          executor.release(state);
        }
      }
      expect(seen.size).toBe(2);
      cache.dispose();
    });
  });

  it("takes another executor's hidden states, but none that were released or are of another width, and no caches of another", async () => {
    const source = randomSource(smallSpec());
    await withExecutor(source, {}, async (executor) => {
      const hidden = executor.write(new Float32Array(16).fill(1), 1);
      const span = { cache: null, position: 0, count: 1 };
      await withExecutor(source, {}, async (other) => {
        const run = await other.runBlocks(hidden, 0, 2, [span]);
        expect(await executor.logits(run)).toEqual(await other.logits(run));
        executor.release(run);
        const cache = other.createCache({ maxTokens: 4 });
        const foreign = { ...span, cache };
        await expect(executor.runBlocks(hidden, 0, 2, [foreign])).rejects.toThrow();
        cache.dispose();
      });
      await withExecutor(randomSource(smallSpec({ hiddenSize: 32 })), {}, async (wider) => {
        await expect(wider.logits(hidden)).rejects.toThrow("expected 32 numbers a row, found 16");
      });
      executor.release(hidden);
      expect(() => executor.release(hidden)).toThrow("released already");
      await expect(executor.logits(hidden)).rejects.toThrow("released already");
      expect(() => executor.write(new Float32Array(17), 1)).toThrow("expected 1 rows of 16 numbers, found 17");
    });
  });

  it.each(["resident", "streamed"] as const)(
    "stops where its signal is aborted, and goes on afterwards, %s",
    async (residency) => {
      const source = randomSource(smallSpec({ blocks: 40, hiddenSize: 64, ffn: 512 }));
      await withExecutor(source, { residency }, async (executor) => {
        const ids = tokens(120);
        const expected = (await logitsOf(executor, ids)).slice(-37);
        const cache = executor.createCache({ maxTokens: 120, kvType: "f32" });
        const embedded = await executor.embed(Int32Array.from(ids));
        const spans = [{ cache, position: 0, count: ids.length }];
        const aborter = new AbortController();
        const pass = executor.runBlocks(embedded, 0, 40, spans, { signal: aborter.signal });
        setImmediate(() => aborter.abort());
        await expect(pass).rejects.toMatchObject({ name: "Interrupted" });
        const lengths = Array.from({ length: 40 }, (_, block) => cache.length(block));
        expect(lengths).toEqual(lengths.toSorted((a, b) => b - a));
        expect(lengths[39]).toBe(0);
        const late = executor.runBlocks(embedded, 0, 40, spans, { signal: aborter.signal });
        await expect(late).rejects.toMatchObject({ name: "Interrupted" });
        executor.release(embedded);
        cache.truncate(0);
        expect(await feed(executor, cache, ids)).toEqual(expected);
        cache.dispose();
      });
    },
  );

  it("waits with closing for a pass under way", async () => {
    const source = randomSource(smallSpec({ blocks: 4 }));
    const executor = await createNativeExecutor(source, { residency: "resident" });
    const embedded = await executor.embed(Int32Array.from(tokens(9)));
    const pass = executor.runBlocks(embedded, 0, 4, [{ cache: null, position: 0, count: 9 }]);
    await Promise.all([executor.dispose(), pass]);
    await expect(executor.runBlocks(embedded, 0, 4, [{ cache: null, position: 0, count: 9 }])).rejects.toThrow();
  });

  it("says what it is", async () => {
    const packed = await packedSource(randomSource(smallSpec()), "q4s-g32");
    await withExecutor(packed, { isa: "scalar", threads: 2, reason: "because" }, async (executor) => {
      expect(executor.info).toEqual({
        ...{ executor: "native", backend: null, isa: "scalar", reason: "because", threads: 2 },
        ...{ activations: "f32", residency: "packed" },
      });
    });
    const refused = createNativeExecutor(packed, { isa: "mmx" });
    await expect(refused).rejects.toMatchObject({ name: "UserError" });
    await expect(refused).rejects.toThrow(/mmx/);
  });
});
