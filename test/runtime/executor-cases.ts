import fc from "fast-check";
import { expect, it } from "vitest";
import type { WeightSource } from "../../src/model/weight-source.ts";
import { PROMPT_CHUNK_ROWS } from "../../src/model/workspace.ts";
import type { AnyExecutor } from "../../src/runtime/executor.ts";
import type { Residency } from "../../src/runtime/executor-info.ts";
import type { RowSpan } from "../../src/runtime/kv-cache.ts";
import { Random } from "../../src/tensor/random.ts";
import { feed, logitsOf, maxDifference } from "./compare.ts";
import { packedSource, randomSource, type Shape, smallSpec } from "./random-model.ts";

/** Runs `work` with an executor that computes in f32 and is closed afterwards, nothing left behind. */
export type WithExecutor = <T>(
  source: WeightSource,
  options: { readonly residency?: Residency },
  work: (executor: AnyExecutor) => Promise<T>,
) => Promise<T>;

/** Everything that a block may be. */
export const SHAPES = fc.record<Shape>({
  heads: fc.constantFrom(2, 4),
  kvHeads: fc.constantFrom(1, 2),
  window: fc.constantFrom(null, 3, 9),
  ropeDims: fc.constantFrom(null, 2, 4),
  norm: fc.constantFrom("rms", "layer"),
  residual: fc.constantFrom("sequential", "parallel"),
  gated: fc.boolean(),
  activation: fc.constantFrom("silu", "gelu-erf", "gelu-tanh", "relu"),
  bias: fc.boolean(),
  qkNorm: fc.constantFrom<boolean | "all">(false, true, "all"),
  norms: fc.constantFrom("pre", "post", "both"),
  factors: fc.boolean(),
  tied: fc.boolean(),
  headBias: fc.boolean(),
});

/** Random ids of the small model. */
export function tokens(count: number, seed = 5): number[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => random.nextInt(37));
}

/** What the contract of executors says of sequences and caches, whoever computes. */
export function sequenceCases(withExecutor: WithExecutor): void {
  it("gives the same with a cache, in any chunking, as without one", async () => {
    const property = fc.asyncProperty(SHAPES, fc.integer({ min: 1, max: 9 }), async (shape, chunk) => {
      await withExecutor(randomSource(smallSpec(shape)), {}, async (executor) => {
        const ids = tokens(17);
        const cache = executor.createCache({ maxTokens: 17, kvType: "f32" });
        const cached = await feed(executor, cache, ids, chunk);
        const whole = await logitsOf(executor, ids);
        expect(maxDifference(cached, whole.slice(-37))).toBeLessThan(1e-4);
        cache.dispose();
      });
    });
    await fc.assert(property, { numRuns: 40 });
  });

  it("computes several sequences in one call as each alone", async () => {
    await withExecutor(randomSource(smallSpec({ window: 6 })), {}, async (executor) => {
      const prompts = [tokens(9, 1), tokens(4, 2), tokens(1, 3)];
      const caches = prompts.map(() => executor.createCache({ maxTokens: 20, kvType: "f32" }));
      for (const [i, prompt] of prompts.entries())
        if (prompt.length > 1) await feed(executor, caches[i], prompt.slice(0, -1));
      const alone = await Promise.all(prompts.map((prompt) => logitsOf(executor, prompt)));
      const last = Int32Array.from(prompts, (prompt) => prompt[prompt.length - 1]);
      const whole = tokens(5, 4);
      const embedded = await executor.embed(Int32Array.from([...last, ...whole]));
      const spans = caches.map((cache) => ({ cache, position: cache.length(0), count: 1 }));
      const hidden = await executor.runBlocks(embedded, 0, 2, [...spans, { cache: null, position: 0, count: 5 }]);
      const logits = await executor.logits(hidden);
      for (const [i, each] of alone.entries()) {
        expect(maxDifference(logits.subarray(i * 37, (i + 1) * 37), each.slice(-37))).toBeLessThan(1e-5);
      }
      expect(maxDifference(logits.subarray(3 * 37), await logitsOf(executor, whole))).toBeLessThan(1e-5);
      for (const state of [embedded, hidden]) executor.release(state);
    });
  });

  it("keeps packed weights apart that lie anywhere in memory", async () => {
    const packed = await packedSource(randomSource(smallSpec()), "q8s-g32");
    // New bytes at every read, at an odd address.
    const anywhere: WeightSource = {
      ...packed,
      async readMatrix(id) {
        const matrix = await packed.readMatrix(id);
        if (matrix.kind !== "packed") return matrix;
        const bytes = new Uint8Array(matrix.bytes.length + 1).subarray(1);
        bytes.set(matrix.bytes);
        return { ...matrix, bytes };
      },
    };
    const ids = tokens(5);
    const expected = await withExecutor(packed, { residency: "streamed" }, (executor) => logitsOf(executor, ids));
    for (const residency of ["packed", "streamed", "resident"] as const) {
      const found = await withExecutor(anywhere, { residency }, (executor) => logitsOf(executor, ids));
      expect(maxDifference(found, expected)).toBeLessThan(1e-5);
    }
  });

  it("gives the logits of a pass in the same call", async () => {
    for (const residency of ["packed", "streamed"] as const) {
      await withExecutor(randomSource(smallSpec()), { residency }, async (executor) => {
        const embedded = await executor.embed(Int32Array.from(tokens(6)));
        const rows = Int32Array.of(5, 0, 3);
        for (const to of [0, 1, 2]) {
          const into = new Float32Array(3 * 37).fill(Number.NaN);
          const spans = [{ cache: null, position: 0, count: 6 }];
          const hidden = await executor.runBlocks(embedded, 0, to, spans, { logits: { rows, into } });
          expect(into).toEqual(await executor.logits(hidden, rows));
          executor.release(hidden);
        }
        executor.release(embedded);
      });
    }
  });

  it("keeps passes at the same time apart", async () => {
    const source = await packedSource(randomSource(smallSpec()), "q8s-g32");
    for (const residency of ["packed", "streamed"] as const) {
      await withExecutor(source, { residency }, async (executor) => {
        const texts = [tokens(3, 1), tokens(4, 2), tokens(5, 3)];
        const alone: Float32Array[] = [];
        for (const ids of texts) alone.push(await logitsOf(executor, ids));
        const together = await Promise.all(texts.map((ids) => logitsOf(executor, ids)));
        expect(together).toEqual(alone);
      });
    }
  });

  it("cuts long prompts into chunks without a difference", async () => {
    await withExecutor(randomSource(smallSpec({ window: 50 })), {}, async (executor) => {
      const ids = tokens(PROMPT_CHUNK_ROWS * 2 + 30);
      const [whole, cut] = [ids.length, 100].map(() => executor.createCache({ maxTokens: ids.length, kvType: "f32" }));
      const atOnce = await feed(executor, whole, ids);
      expect(maxDifference(await feed(executor, cut, ids, 100), atOnce)).toBeLessThan(1e-5);
      expect(maxDifference((await logitsOf(executor, ids)).slice(-37), atOnce)).toBeLessThan(1e-4);
    });
  });

  it("goes on from a fork and after a truncation as from the start", async () => {
    await withExecutor(randomSource(smallSpec({})), {}, async (executor) => {
      const [prefix, first, second] = [tokens(70, 1), tokens(6, 2), tokens(7, 3)];
      const cache = executor.createCache({ maxTokens: 100, kvType: "f32" });
      await feed(executor, cache, prefix);
      const fork = cache.fork();
      const onCache = await feed(executor, cache, first);
      const onFork = await feed(executor, fork, second);
      expect(maxDifference(onCache, (await logitsOf(executor, [...prefix, ...first])).slice(-37))).toBeLessThan(1e-4);
      expect(maxDifference(onFork, (await logitsOf(executor, [...prefix, ...second])).slice(-37))).toBeLessThan(1e-4);
      cache.truncate(prefix.length);
      expect(maxDifference(await feed(executor, cache, second), onFork)).toBeLessThan(1e-5);
    });
  });

  it("runs a sliding window far beyond what its cache keeps, and says when a truncation went further", async () => {
    await withExecutor(randomSource(smallSpec({ window: 10 })), {}, async (executor) => {
      const ids = tokens(300);
      const cache = executor.createCache({ maxTokens: 300, kvType: "f32" });
      await feed(executor, cache, ids.slice(0, 290), 40);
      const logits = await feed(executor, cache, ids.slice(290), 1);
      expect(maxDifference(logits, (await logitsOf(executor, ids)).slice(-37))).toBeLessThan(1e-4);
      cache.truncate(236);
      expect(cache.needsRebuild(237)).toBe(false);
      const again = await feed(executor, cache, ids.slice(236), 20);
      expect(maxDifference(again, logits)).toBeLessThan(1e-5);
      cache.truncate(150);
      expect(cache.needsRebuild(151)).toBe(true);
      await expect(feed(executor, cache, ids.slice(150, 151))).rejects.toThrow("no longer holds the window");
      cache.truncate(0);
      expect(cache.needsRebuild(151)).toBe(false);
      const anew = await feed(executor, cache, ids.slice(0, 50));
      expect(maxDifference(anew, (await logitsOf(executor, ids.slice(0, 50))).slice(-37))).toBeLessThan(1e-4);
    });
  });

  it("changes the rotary regime only while its cache is empty", async () => {
    const spec = smallSpec();
    const scaling = {
      kind: "longrope" as const,
      shortFactor: [1, 1],
      longFactor: [2, 4],
      originalMaxPositions: 16,
      attentionFactor: 1.1,
    };
    for (const { attention } of spec.blocks) if (attention?.rope) attention.rope = { ...attention.rope, scaling };
    await withExecutor(randomSource(spec), {}, async (executor) => {
      const ids = tokens(20);
      const cache = executor.createCache({ maxTokens: 20, kvType: "f32" });
      expect(cache.needsRebuild(17)).toBe(false);
      cache.reserve(12);
      await feed(executor, cache, ids.slice(0, 12));
      expect([cache.needsRebuild(16), cache.needsRebuild(17)]).toEqual([false, true]);
      cache.reserve(16);
      const short = await feed(executor, cache, ids.slice(12, 16));
      expect(maxDifference(short, (await logitsOf(executor, ids.slice(0, 16))).slice(-37))).toBeLessThan(1e-4);
      expect(() => cache.reserve(17)).toThrow(/feed the sequence anew/);
      await expect(feed(executor, cache, ids.slice(16))).rejects.toThrow(/feed the sequence anew/);
      cache.truncate(0);
      cache.reserve(20);
      const fork = cache.fork();
      const long = (await logitsOf(executor, ids)).slice(-37);
      expect(maxDifference(await feed(executor, cache, ids, 7), long)).toBeLessThan(1e-4);
      expect(maxDifference(await feed(executor, fork, ids), long)).toBeLessThan(1e-4);
      expect([cache.needsRebuild(20), cache.needsRebuild(16)]).toEqual([false, true]);
    });
  });

  it("refuses spans that it cannot run", async () => {
    await withExecutor(randomSource(smallSpec()), {}, async (executor) => {
      const embedded = await executor.embed(Int32Array.of(1, 2, 3));
      const cache = executor.createCache({ maxTokens: 3 });
      const run = (spans: readonly RowSpan[]) => executor.runBlocks(embedded, 0, 2, spans);
      await expect(run([{ cache, position: 0, count: 2 }])).rejects.toThrow("cover 2 rows of 3");
      await expect(run([{ cache: null, position: 1, count: 3 }])).rejects.toThrow("starts at position 1");
      await expect(run([{ cache, position: 1, count: 3 }])).rejects.toThrow("made for 3 tokens");
      const small = executor.createCache({ maxTokens: 30 });
      await expect(run([{ cache: small, position: 7, count: 3 }])).rejects.toThrow(/holds 0 positions.* starts? at 7/);
      executor.release(embedded);
    });
  });
}
