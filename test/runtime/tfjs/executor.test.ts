import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { WeightSource } from "../../../src/model/weight-source.ts";
import { PROMPT_CHUNK_ROWS } from "../../../src/model/workspace.ts";
import { openBackend } from "../../../src/runtime/tfjs/backend.ts";
import { createTfjsExecutor, type TfjsExecutor, type TfjsOptions } from "../../../src/runtime/tfjs/executor.ts";
import { Random } from "../../../src/tensor/random.ts";
import { feed, hiddenStates, logitsOf, maxDifference } from "./compare.ts";
import { packedSource, randomSource, type Shape, smallSpec, unpackedSource } from "./random-model.ts";

const shapes = fc.record<Shape>({
  heads: fc.constantFrom(2, 4),
  kvHeads: fc.constantFrom(1, 2),
  window: fc.constantFrom(null, 3, 9),
  ropeDims: fc.constantFrom(null, 2, 4),
  norm: fc.constantFrom("rms", "layer"),
  residual: fc.constantFrom("sequential", "parallel"),
  gated: fc.boolean(),
  activation: fc.constantFrom("silu", "gelu-erf", "gelu-tanh", "relu"),
  bias: fc.boolean(),
  qkNorm: fc.boolean(),
  tied: fc.boolean(),
  headBias: fc.boolean(),
});

const tokens = (count: number, seed = 5) => {
  const random = new Random(seed);
  return Array.from({ length: count }, () => random.nextInt(37));
};

/** Runs `work` with an executor and checks that no tensor is left behind. */
async function withExecutor<T>(
  source: WeightSource,
  options: TfjsOptions,
  work: (executor: TfjsExecutor) => Promise<T>,
): Promise<T> {
  const before = tf.memory().numTensors;
  const executor = await createTfjsExecutor(source, options);
  const result = await work(executor);
  await executor.dispose();
  expect(tf.memory().numTensors).toBe(before);
  return result;
}

describe("tfjs executor", () => {
  beforeAll(() => openBackend().then(() => undefined));

  it.each(["cpu", "auto"] as const)("keeps passes at the same time apart, on %s", async (backend) => {
    const source = await packedSource(randomSource(smallSpec()), "q8s-g32");
    // Room for four rows of the head at a time: many tiles in one scratch array.
    const options: TfjsOptions = { residency: "packed", expandBytes: 4 * 24 * 4, backend };
    await withExecutor(source, options, async (executor) => {
      const texts = [tokens(3, 1), tokens(4, 2), tokens(5, 3)];
      const alone: Float32Array[] = [];
      for (const ids of texts) alone.push(await logitsOf(executor, ids));
      const together = await Promise.all(texts.map((ids) => logitsOf(executor, ids)));
      expect(together).toEqual(alone);
    });
    await openBackend();
  });

  it("leaves no tensor behind where it cannot be opened", async () => {
    const before = tf.memory().numTensors;
    const source = randomSource(smallSpec({ headBias: true }));
    const broken: WeightSource = {
      ...source,
      readVector: async (id) => {
        if (id === "head.bias") throw new Error("unreadable");
        return source.readVector(id);
      },
    };
    await expect(createTfjsExecutor(broken, { residency: "resident" })).rejects.toThrow("unreadable");
    expect(tf.memory().numTensors).toBe(before);
  });

  it("gives the same with a cache, in any chunking, as without one", async () => {
    const property = fc.asyncProperty(shapes, fc.integer({ min: 1, max: 9 }), async (shape, chunk) => {
      await withExecutor(randomSource(smallSpec(shape)), {}, async (executor) => {
        const ids = tokens(17);
        const cache = executor.createCache({ maxTokens: 17, kvType: "f32" });
        const cached = await feed(executor, cache, ids, chunk);
        const whole = await logitsOf(executor, ids);
        expect(maxDifference(cached, whole.slice(-37))).toBeLessThan(1e-4);
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

  it("runs a sliding window far beyond what its cache keeps", async () => {
    await withExecutor(randomSource(smallSpec({ window: 10 })), {}, async (executor) => {
      const ids = tokens(300);
      const cache = executor.createCache({ maxTokens: 300, kvType: "f32" });
      await feed(executor, cache, ids.slice(0, 290), 40);
      const logits = await feed(executor, cache, ids.slice(290), 1);
      expect(maxDifference(logits, (await logitsOf(executor, ids)).slice(-37))).toBeLessThan(1e-4);
    });
  });

  it("gives the same packed, resident and streamed, and as the unpacked weights", async () => {
    for (const tied of [false, true]) {
      const spec = smallSpec({ tied, headBias: true, bias: true, norm: "layer" });
      const packed = await packedSource(randomSource(spec), "q4a-g32");
      const dense = await unpackedSource(packed);
      const ids = tokens(12);
      const run = (source: WeightSource, options: TfjsOptions) =>
        withExecutor(source, options, async (executor) => ({
          info: executor.info,
          logits: await logitsOf(executor, ids),
        }));
      const reference = await run(dense, { residency: "resident" });
      for (const [source, options, residency] of [
        [packed, {}, "packed"],
        // A tile of a few rows only.
        [packed, { expandBytes: 4 * 16 * 5 }, "packed"],
        [packed, { residency: "resident" }, "resident"],
        [packed, { residency: "streamed" }, "streamed"],
        [dense, {}, "streamed"],
      ] as const) {
        const { info, logits } = await run(source, options);
        expect(info.residency).toBe(residency);
        expect(maxDifference(logits, reference.logits)).toBeLessThan(1e-5);
      }
    }
  });

  it("reads a dense block when it is reached, once, and keeps no other", async () => {
    const source = randomSource(smallSpec({ blocks: 3 }));
    await withExecutor(source, {}, async (executor) => {
      const tensors = tf.memory().numTensors;
      source.reads.length = 0;
      const states = await hiddenStates(executor, tokens(4));
      expect(states).toHaveLength(4);
      expect(tf.memory().numTensors).toBe(tensors);
      const blocks = source.reads.map((id) => id.split(".")[1]);
      // Block 0 was read when the executor was opened.
      expect([...new Set(blocks)]).toEqual(["1", "2"]);
      expect(source.reads).toHaveLength(14);
    });
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
      for (const state of [hidden, middle]) executor.release(state);
    });
  });

  it("refuses spans that it cannot run, and leaves no tensor behind", async () => {
    await withExecutor(randomSource(smallSpec()), {}, async (executor) => {
      const embedded = await executor.embed(Int32Array.of(1, 2, 3));
      const cache = executor.createCache({ maxTokens: 3 });
      const run = (spans: Parameters<TfjsExecutor["runBlocks"]>[3]) => executor.runBlocks(embedded, 0, 2, spans);
      await expect(run([{ cache, position: 0, count: 2 }])).rejects.toThrow("cover 2 rows of 3");
      await expect(run([{ cache: null, position: 1, count: 3 }])).rejects.toThrow("starts at position 1");
      await expect(run([{ cache, position: 1, count: 3 }])).rejects.toThrow("made for 3 tokens");
      const small = executor.createCache({ maxTokens: 30 });
      await expect(run([{ cache: small, position: 7, count: 3 }])).rejects.toThrow(
        "holds 0 positions, the rows start at 7",
      );
      executor.release(embedded);
    });
  });
});
