import { expect, it } from "vitest";
import type { WeightSource } from "../../src/model/weight-source.ts";
import type { Residency } from "../../src/runtime/executor-info.ts";
import { logitsOf, maxDifference } from "./compare.ts";
import { tokens, type WithExecutor } from "./executor-cases.ts";
import { packedSource, randomSource, smallSpec, unpackedSource } from "./random-model.ts";

/** What the contract says of weights, skipped parts, and numbers in and out. */
export function weightCases(withExecutor: WithExecutor): void {
  it("gives the same packed, resident and streamed, and as the unpacked weights", async () => {
    for (const tied of [false, true]) {
      const spec = smallSpec({ tied, headBias: true, bias: true, norm: "layer" });
      const packed = await packedSource(randomSource(spec), "q4a-g32");
      const dense = await unpackedSource(packed);
      const ids = tokens(12);
      const run = (source: WeightSource, residency: Residency) =>
        withExecutor(source, { residency }, async (executor) => ({
          residency: executor.info.residency,
          logits: await logitsOf(executor, ids),
        }));
      const reference = await run(dense, "resident");
      for (const [source, asked, residency] of [
        [packed, "packed", "packed"],
        [packed, "resident", "resident"],
        [packed, "streamed", "streamed"],
        [dense, "packed", "streamed"],
        [mixedSource(packed, dense), "packed", null],
        [mixedSource(packed, dense), "resident", "resident"],
      ] as const) {
        const found = await run(source, asked);
        if (residency) expect(found.residency).toBe(residency);
        expect(maxDifference(found.logits, reference.logits)).toBeLessThan(1e-5);
      }
    }
  });

  it("leaves out what a skip set says", async () => {
    const spec = smallSpec({ blocks: 2 });
    await withExecutor(randomSource(spec), {}, async (executor) => {
      const ids = Int32Array.from(tokens(5));
      const span = [{ cache: null, position: 0, count: 5 }];
      const embedded = await executor.embed(ids);
      const none = { attention: [true, true], mlp: [true, true] };
      const same = await executor.runBlocks(embedded, 0, 2, span, { skip: none });
      expect(await executor.read(same)).toEqual(await executor.read(embedded));
      const first = await executor.runBlocks(embedded, 0, 1, span);
      const second = await executor.runBlocks(embedded, 0, 2, span, {
        skip: { attention: [false, true], mlp: [false, true] },
      });
      expect(await executor.read(second)).toEqual(await executor.read(first));
      const cache = executor.createCache({ maxTokens: 5 });
      const skipped = await executor.runBlocks(embedded, 0, 2, [{ cache, position: 0, count: 5 }], {
        skip: { attention: [true, false], mlp: [false, false] },
      });
      expect([cache.length(0), cache.length(1)]).toEqual([0, 5]);
      for (const state of [embedded, same, first, second, skipped]) executor.release(state);
    });
  });

  it("stacks the rows of several states, which stay as they are", async () => {
    await withExecutor(randomSource(smallSpec()), {}, async (executor) => {
      const numbers = (rows: number, from: number) => Float32Array.from({ length: 16 * rows }, (_, i) => from + i);
      const parts = [executor.write(numbers(2, 0), 2), executor.write(numbers(1, 100), 1)];
      const [first, second] = parts;
      const whole = executor.stack([second, first, second]);
      const expected = [...numbers(1, 100), ...numbers(2, 0), ...numbers(1, 100)];
      expect([...(await executor.read(whole))]).toEqual(expected);
      for (const part of parts) executor.release(part);
      expect([...(await executor.read(whole))]).toEqual(expected);
      executor.release(whole);
    });
  });

  it("copies numbers in and out, and slices rows", async () => {
    await withExecutor(randomSource(smallSpec()), {}, async (executor) => {
      const data = Float32Array.from({ length: 48 }, (_, i) => i);
      const hidden = executor.write(data, 3);
      data.fill(-1);
      const middle = executor.slice(hidden, 1, 2);
      expect([...(await executor.read(middle))]).toEqual(Array.from({ length: 16 }, (_, i) => 16 + i));
      const some = await executor.logits(hidden, Int32Array.of(2, 0));
      const all = await executor.logits(hidden);
      expect(maxDifference(some, [...all.subarray(74, 111), ...all.subarray(0, 37)])).toBeLessThan(1e-5);
      const bare = await executor.logits(hidden, Int32Array.of(1), { norm: false });
      expect(maxDifference(bare, all.subarray(37, 74))).toBeGreaterThan(1);
      const into = new Float32Array(37);
      expect(await executor.logits(hidden, Int32Array.of(1), { into })).toBe(into);
      expect(maxDifference(into, all.subarray(37, 74))).toBeLessThan(1e-5);
      for (const state of [hidden, middle]) executor.release(state);
    });
  });
}

/** Every other matrix packed, the rest dense: an overlay that quantizes some of a checkpoint. */
function mixedSource(packed: WeightSource, dense: WeightSource): WeightSource {
  let reads = 0;
  const pick = new Map<string, WeightSource>();
  const sourceOf = (id: string) => {
    const known = pick.get(id) ?? (reads++ % 2 === 0 ? packed : dense);
    pick.set(id, known);
    return known;
  };
  return {
    ...packed,
    readMatrix: (id) => sourceOf(id).readMatrix(id),
    readRows: (id, from, to) => sourceOf(id).readRows(id, from, to),
  };
}
