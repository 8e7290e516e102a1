import { describe, expect, it } from "vitest";
import type { KvType } from "../../src/model/kv-type.ts";
import type { AnyExecutor } from "../../src/runtime/executor.ts";
import type { KvCache } from "../../src/runtime/kv-cache.ts";
import { createNativeExecutor } from "../../src/runtime/native/executor.ts";
import { createTfjsExecutor } from "../../src/runtime/tfjs/executor.ts";
import { Random } from "../../src/tensor/random.ts";
import { maxDifference } from "../runtime/compare.ts";
import { packedSource, randomSource, smallSpec } from "../runtime/random-model.ts";
import { ADDON_STATE, expectBits, HAS_ADDON } from "./engines.ts";

/** More than two segments of 512 positions, and a page begun. */
const TOKENS = 1100;
const SHAPE = { hiddenSize: 32, heads: 4, kvHeads: 2, headDim: 8, ropeDims: 8, ffn: 48, vocabSize: 61 };
const IDS = Array.from(
  { length: TOKENS },
  (
    (random) => () =>
      random.nextInt(61)
  )(new Random(4)),
);

/** Runs ids from a position on; hidden states behind the last block. */
async function run(executor: AnyExecutor, cache: KvCache | null, from: number, to: number): Promise<Float32Array> {
  const embedded = await executor.embed(Int32Array.from(IDS.slice(from, to)));
  const spans = [{ cache, position: from, count: to - from }];
  const hidden = await executor.runBlocks(embedded, 0, executor.spec.blocks.length, spans);
  const numbers = (await executor.read(hidden)).slice();
  executor.release(embedded);
  executor.release(hidden);
  return numbers;
}

const cacheOf = (executor: AnyExecutor, kvType: KvType) => executor.createCache({ maxTokens: TOKENS, kvType });

describe.skipIf(!HAS_ADDON)(`long contexts (${ADDON_STATE})`, () => {
  describe.each([null, 40, 700])("window %s", (window) => {
    it("a row's numbers do not depend on chunks and threads past a segment", async () => {
      const source = await packedSource(randomSource(smallSpec({ ...SHAPE, window })), "q8s-g32");
      const executors: AnyExecutor[] = [];
      for (const threads of [1, 2, 3])
        executors.push(await createNativeExecutor(source, { threads, activations: "int8" }));
      for (const kvType of ["f16", "q8"] as const) {
        const whole = await run(executors[0], cacheOf(executors[0], kvType), 0, TOKENS);
        expect(whole.every(Number.isFinite)).toBe(true);
        for (const executor of executors) {
          const cache = cacheOf(executor, kvType);
          const same = async (from: number, to: number) =>
            expectBits(
              await run(executor, cache, from, to),
              whole.slice(from * SHAPE.hiddenSize, to * SHAPE.hiddenSize),
              `${kvType}, [${from}, ${to}), ${executor.info.threads} threads`,
            );
          for (const [from, to] of [
            [0, 500],
            [500, 509],
            [509, 511],
            [511, 514],
            [514, 1023],
            [1023, 1023 + 64],
          ])
            await same(from, to);
          for (let from = 1087; from < TOKENS; from++) await same(from, from + 1);
        }
      }
      for (const executor of executors) await executor.dispose();
    });

    it("agrees with the tfjs executor in f32", async () => {
      const source = randomSource(smallSpec({ ...SHAPE, window }));
      const native = await createNativeExecutor(source, { threads: 2, activations: "f32" });
      const tfjs = await createTfjsExecutor(source, { residency: "resident" });
      const [ours, theirs] = [await run(native, null, 0, TOKENS), await run(tfjs, null, 0, TOKENS)];
      expect(maxDifference(ours, theirs)).toBeLessThanOrEqual(2e-4);
      // A window is felt: with another one the numbers differ by more than that.
      const other = await createNativeExecutor(randomSource(smallSpec({ ...SHAPE, window: (window ?? 900) - 1 })), {
        threads: 2,
        activations: "f32",
      });
      expect(maxDifference(await run(other, null, 0, TOKENS), theirs)).toBeGreaterThan(2e-4);
      for (const executor of [native, tfjs, other]) await executor.dispose();
    });
  });
});
