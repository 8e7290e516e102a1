import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CodecId } from "../../src/codecs/index.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import type { DecoderSpec } from "../../src/model/decoder-spec.ts";
import type { KvType } from "../../src/model/kv-type.ts";
import type { DenseMatrix, WeightSource } from "../../src/model/weight-source.ts";
import type { AnyExecutor } from "../../src/runtime/executor.ts";
import type { HeadAnswers } from "../../src/runtime/head-answers.ts";
import { emptyAnswers } from "../../src/runtime/head-answers.ts";
import type { ExitHead } from "../../src/runtime/heads.ts";
import type { KvCache } from "../../src/runtime/kv-cache.ts";
import { createNativeExecutor } from "../../src/runtime/native/executor.ts";
import { Random } from "../../src/tensor/random.ts";
import { architectureCases, modelCases } from "../runtime/goldens.ts";
import { packedSource, packRounded } from "../runtime/random-model.ts";
import { ADDON_STATE, expectBits, HAS_ADDON, ISAS } from "./engines.ts";

const cases = HAS_ADDON ? [...architectureCases(), ...modelCases()] : [];
/** Crosses a page of 64 positions, and the windows and LongRoPE limits of the fixtures. */
const TOKENS = 75;
const KV_TYPES: readonly KvType[] = ["f32", "f16", "q8"];
const MODES: readonly { activations: "int8" | "f32"; codec: CodecId }[] = [
  { activations: "int8", codec: "q4s-g32" },
  { activations: "f32", codec: "q5a-g64" },
];

/** Rows of one sequence to run. */
interface Rows {
  readonly cache: KvCache | null;
  readonly ids: readonly number[];
}

const newCache = (executor: AnyExecutor, kvType: KvType): KvCache => {
  const cache = executor.createCache({ maxTokens: TOKENS + 40, kvType });
  // The factors of LongRoPE go by the length that a sequence will reach: the same for all.
  cache.reserve(TOKENS + 40);
  return cache;
};

/** Runs some sequences in one pass; the last hidden states of each. */
async function pass(executor: AnyExecutor, sequences: readonly Rows[], split = 0): Promise<Float32Array[]> {
  const blocks = executor.spec.blocks.length;
  const embedded = await executor.embed(Int32Array.from(sequences.flatMap(({ ids }) => ids)));
  const spans = sequences.map(({ cache, ids }) => ({ cache, position: cache?.length(0) ?? 0, count: ids.length }));
  const middle = await executor.runBlocks(embedded, 0, split, spans);
  const hidden = await executor.runBlocks(middle, split, blocks, spans);
  const numbers = (await executor.read(hidden)).slice();
  for (const state of [embedded, middle, hidden]) executor.release(state);
  const width = executor.spec.hiddenSize;
  let row = 0;
  return sequences.map(({ ids }) => {
    row += ids.length;
    return numbers.slice((row - ids.length) * width, row * width);
  });
}

/** Feeds a sequence in chunks of the given sizes (the last repeats); hidden states of all rows. */
async function feedAll(
  executor: AnyExecutor,
  cache: KvCache | null,
  ids: readonly number[],
  chunk: number,
): Promise<Float32Array> {
  const parts: Float32Array[] = [];
  for (let done = 0; done < ids.length; done += chunk) {
    parts.push(...(await pass(executor, [{ cache, ids: ids.slice(done, done + chunk) }])));
  }
  return joined(parts);
}

/** An exit head with all that one may have, over ids that fill no whole tile. */
function exitHead({ hiddenSize, finalNorm }: DecoderSpec, codec: CodecId): ExitHead {
  const random = new Random(5).fork("exit");
  const dense = (rows: number, cols: number): DenseMatrix => ({
    ...{ kind: "dense", rows, cols },
    data: Float32Array.from({ length: rows * cols }, () => random.nextNormal() / Math.sqrt(cols)),
  });
  const ones = new Float32Array(hiddenSize).fill(1);
  return {
    norm: { spec: finalNorm, weight: ones, bias: finalNorm.kind === "layer" ? new Float32Array(hiddenSize) : null },
    adapter: { rank: 5, down: dense(5, hiddenSize), up: dense(hiddenSize, 5) },
    matrix: packRounded(dense(100, hiddenSize), codec),
    bias: null,
    tail: { weight: dense(1, hiddenSize).data, bias: 0.5 },
  };
}

/** Answers of a head to all rows, in one call. */
async function answersOf(executor: AnyExecutor, states: Float32Array, head: string): Promise<HeadAnswers> {
  const hidden = executor.write(states, TOKENS);
  const answers = await executor.answers(hidden, Int32Array.from(allRows()), { head });
  executor.release(hidden);
  return answers;
}

const allRows = () => Array.from({ length: TOKENS }, (_, row) => row);

/** `found` are the answers, bit for bit, that `all` has of these rows. */
function expectSameAnswers(found: HeadAnswers, all: HeadAnswers, rows: readonly number[], what: string): void {
  expect([...found.best], what).toEqual(rows.map((row) => all.best[row]));
  for (const name of ["entropy", "maxProbability", "margin"] as const) {
    const same = Float32Array.from(rows, (row) => all[name][row]);
    expectBits(found[name], same, `${name}, ${what}`);
  }
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function randomIds(executor: AnyExecutor, count: number, name: string): number[] {
  const random = new Random(3).fork(name);
  return Array.from({ length: count }, () => random.nextInt(executor.spec.vocabSize));
}

describe.skipIf(!HAS_ADDON)(`invariance (${ADDON_STATE})`, () => {
  it("covers every architecture and model", () => {
    expect(cases.length).toBeGreaterThanOrEqual(15);
  });
});

describe.each(cases)("a row's numbers do not depend on the pass: $name", ({ folder }) => {
  describe.each(MODES)("$activations activations, $codec", ({ activations, codec }) => {
    let source: WeightSource;
    let executors: AnyExecutor[];
    let ids: number[];
    const whole = new Map<KvType, Float32Array>();

    beforeAll(async () => {
      source = await openCheckpoint(folder);
      const packed = await packedSource(source, codec);
      executors = [];
      for (const threads of [1, 2, 3]) executors.push(await createNativeExecutor(packed, { activations, threads }));
      for (const executor of executors) await executor.loadHead("exit", exitHead(executor.spec, codec));
      ids = randomIds(executors[0], TOKENS, "ids");
      for (const kvType of KV_TYPES) {
        whole.set(kvType, await feedAll(executors[0], newCache(executors[0], kvType), ids, TOKENS));
      }
    });
    afterAll(async () => {
      for (const executor of executors) await executor.dispose();
      await source.close();
    });

    const expected = (kvType: KvType) => whole.get(kvType) ?? new Float32Array(0);

    it("nor the chunks and threads", async () => {
      for (const kvType of KV_TYPES) {
        for (const executor of executors) {
          const { threads } = executor.info;
          // Three threads on fewer cores are slow: they wait for each other's turn.
          if (threads === 3 && kvType !== "f16") continue;
          for (const chunk of threads === 1 ? [1, 3, 64] : [2 * (threads ?? 1), TOKENS]) {
            const found = await feedAll(executor, newCache(executor, kvType), ids, chunk);
            expectBits(found, expected(kvType), `${kvType}, chunks of ${chunk}, ${threads} threads`);
          }
        }
        // KV types do differ: equality is not that of numbers that never reached the cache.
        if (kvType !== "f32") expect(expected(kvType)).not.toEqual(expected("f32"));
      }
      expect(expected("f32").every(Number.isFinite)).toBe(true);
    });

    it("nor the instruction set", async () => {
      const packed = await packedSource(source, codec);
      const rows = 20;
      for (const isa of ISAS) {
        const executor = await createNativeExecutor(packed, { activations, threads: 2, isa });
        const found = await feedAll(executor, newCache(executor, "f16"), ids.slice(0, rows), 7);
        expect(executor.info.isa).toBe(isa);
        expectBits(found, expected("f16").slice(0, rows * executor.spec.hiddenSize), isa);
        await executor.dispose();
      }
    });

    it("nor sequences beside it, nor where blocks are split", async () => {
      const executor = executors[1];
      const [a, b] = [randomIds(executor, 20, "a"), randomIds(executor, 9, "b")];
      const middle = Math.ceil(executor.spec.blocks.length / 2);
      for (const kvType of KV_TYPES) {
        const [cache, beside] = [newCache(executor, kvType), newCache(executor, kvType)];
        const found: Float32Array[] = [];
        for (let done = 0; done < TOKENS; done += 25) {
          const own = { cache, ids: ids.slice(done, done + 25) };
          const others = [
            { cache: beside, ids: a },
            { cache: null, ids: b },
          ] as const;
          const sequences = done % 50 ? [own, ...others] : [others[0], own, others[1]];
          const results = await pass(executor, sequences, middle);
          found.push(results[sequences.indexOf(own)]);
        }
        expectBits(joined(found), expected(kvType), `${kvType}, beside others`);
        const alone = await pass(executor, [{ cache: newCache(executor, kvType), ids: a }]);
        const first = await pass(executor, [
          { cache: newCache(executor, kvType), ids: b },
          { cache: newCache(executor, kvType), ids: a },
        ]);
        expectBits(first[1], alone[0], `${kvType}, the others`);
      }
    });

    it("nor rejected drafts, nor forks", async () => {
      const executor = executors[1];
      const width = executor.spec.hiddenSize;
      const wrong = randomIds(executor, 12, "wrong");
      for (const kvType of KV_TYPES) {
        const half = 40;
        const cache = newCache(executor, kvType);
        const start = await feedAll(executor, cache, ids.slice(0, half), half);
        expectBits(start, expected(kvType).slice(0, half * width), `${kvType}, first half`);
        const fork = cache.fork();
        await feedAll(executor, cache, wrong, 4);
        cache.truncate(half);
        const rest = expected(kvType).slice(half * width);
        expectBits(await feedAll(executor, cache, ids.slice(half), 6), rest, `${kvType}, after truncation`);
        expectBits(await feedAll(executor, fork, ids.slice(half), 30), rest, `${kvType}, in the fork`);
      }
    });

    it("nor whether it is cached, in f32", async () => {
      // Without a cache the span's own length decides between LongRoPE's factors.
      const executor = executors[1];
      const cache = executor.createCache({ maxTokens: TOKENS, kvType: "f32" });
      cache.reserve(TOKENS);
      const cached = await feedAll(executor, cache, ids, 10);
      expectBits(await feedAll(executor, null, ids, TOKENS), cached, "without a cache");
    });

    it("and answers depend neither on the rows asked for, nor the threads, nor whether they are queued behind a pass", async () => {
      const { blocks } = executors[0].spec;
      for (const head of ["output", "exit"]) {
        const all = await answersOf(executors[0], expected("f32"), head);
        for (const executor of executors) {
          const { threads } = executor.info;
          expectSameAnswers(await answersOf(executor, expected("f32"), head), all, allRows(), `${threads} threads`);
          const hidden = executor.write(expected("f32"), TOKENS);
          for (const rows of [[0], [TOKENS - 1], [3, 4], [70, 2, 9, 9, 33]]) {
            const found = await executor.answers(hidden, Int32Array.from(rows), { head });
            expectSameAnswers(found, all, rows, `rows ${rows}, ${threads} threads`);
          }
          executor.release(hidden);
        }
        // A token at a time and in chunks, the answer of each chunk's last row behind its pass.
        for (const chunk of [1, 7]) {
          const executor = executors[1];
          const cache = newCache(executor, "f32");
          for (let done = 0; done < TOKENS; done += chunk) {
            const embedded = await executor.embed(Int32Array.from(ids.slice(done, done + chunk)));
            const count = Math.min(chunk, TOKENS - done);
            const into = emptyAnswers(1);
            const answers = { head, rows: Int32Array.of(count - 1), into };
            const span = { cache, position: done, count };
            const hidden = await executor.runBlocks(embedded, 0, blocks.length, [span], { answers });
            expectSameAnswers(into, all, [done + count - 1], `chunks of ${chunk}, row ${done + count - 1}`);
            for (const state of [embedded, hidden]) executor.release(state);
          }
          cache.dispose();
        }
      }
    });

    it("and logits do not depend on the rows asked for", async () => {
      for (const executor of executors) {
        const hidden = executor.write(expected("f32"), TOKENS);
        const all = (await executor.logits(hidden)).slice();
        const vocabSize = executor.spec.vocabSize;
        expect(all.length).toBe(TOKENS * vocabSize);
        for (const rows of [[0], [TOKENS - 1], [3, 4], [70, 2, 9, 9, 33]]) {
          const found = (await executor.logits(hidden, Int32Array.from(rows))).slice();
          const same = joined(rows.map((row) => all.subarray(row * vocabSize, (row + 1) * vocabSize)));
          expectBits(found, same, `rows ${rows}, ${executor.info.threads} threads`);
        }
        executor.release(hidden);
      }
    });
  });
});
