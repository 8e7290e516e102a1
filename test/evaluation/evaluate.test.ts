import { describe, expect, it } from "vitest";
import { evaluate, evaluateAll } from "../../src/evaluation/evaluate.ts";
import { EvaluationResult } from "../../src/evaluation/evaluation-result.ts";
import { cutWindows, separateWindows } from "../../src/evaluation/windows.ts";
import { nativeMaths } from "../../src/maths/native.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import type { AnyExecutor, Executor } from "../../src/runtime/executor.ts";
import type { KvCache } from "../../src/runtime/kv-cache.ts";
import { ADDON_STATE, engineOf, HAS_ADDON, ISAS } from "../native/engines.ts";
import { tinySpec } from "../scoring/tiny-model.ts";

type Rows = { ids: Int32Array };

const EMPTY_CACHE: KvCache = {
  ...{ kvType: "f32", maxTokens: 4, length: () => 0, truncate: () => {}, fork: () => EMPTY_CACHE },
  ...{ reserve: () => {}, needsRebuild: () => false, dispose: () => {} },
};

/**
 * An executor of known distributions: the logits of a row are `table[id of the row]`, natural logarithms of
 * probabilities.
 */
function tableExecutor(table: number[][], log: { rows: number[]; live: number } = { rows: [], live: 0 }): AnyExecutor {
  const spec = { ...tinySpec(1), vocabSize: table[0].length };
  const make = (ids: Int32Array): Rows => {
    log.live++;
    return { ids };
  };
  const executor: Executor<Rows> = {
    spec,
    info: {
      ...{ executor: "tfjs", backend: "table", isa: null, reason: "test", threads: 1 },
      ...{ activations: "f32", residency: "packed" },
    },
    maths: plainMaths,
    // Only where logits that are not finite are looked for.
    createCache: () => EMPTY_CACHE,
    embed: async (ids) => make(ids),
    runBlocks: async (hidden, from, to, spans) => {
      expect([from, to]).toEqual([0, 1]);
      expect(spans.every(({ cache, position }) => (cache ?? EMPTY_CACHE) === EMPTY_CACHE && position === 0)).toBe(true);
      return make(hidden.ids);
    },
    logits: async (hidden, rows = Int32Array.from(hidden.ids.keys())) => {
      log.rows.push(rows.length);
      return Float32Array.from([...rows].flatMap((row) => table[hidden.ids[row]].map(Math.log)));
    },
    loadAdapter: async () => {},
    answers: async () => {
      throw new Error("no answers");
    },
    loadHead: async () => {},
    read: async () => new Float32Array(0),
    write: () => make(new Int32Array(0)),
    slice: (hidden) => hidden,
    stack: ([first]) => first,
    release: () => {
      log.live--;
    },
    dispose: async () => {},
  };
  return executor;
}

const uniform = [
  [0.5, 0.5],
  [0.5, 0.5],
];
const skewed = [
  [0.75, 0.25],
  [0.25, 0.75],
];
const text = Int32Array.of(0, 0, 1, 1, 0, 0, 1, 1);

describe("evaluate", () => {
  it("gives the perplexity worked out by hand", async () => {
    // Windows 0011 and 0011: each 0->0 (3/4), 0->1 (1/4), 1->1 (3/4)
    const windows = cutWindows(text, { windowTokens: 4, textSha256: "abc" });
    const result = await evaluate({ executor: tableExecutor(skewed), windows });
    expect(result.scoredTokens).toBe(6);
    expect(result.model.meanNll).toBeCloseTo(-(4 * Math.log(0.75) + 2 * Math.log(0.25)) / 6, 6);
    expect(result.model.perplexity).toBeCloseTo(Math.exp(result.model.meanNll), 9);
    expect(result).toMatchObject({
      text: { sha256: "abc", tokens: 8 },
      windows: { count: 2, windowTokens: 4, strideTokens: 4, bosToken: null, scored: "all" },
      model: { arithmetic: { executor: "tfjs", backend: "table", activations: "f32", kvType: "f32" } },
      reference: null,
      divergence: null,
      noiseFloor: null,
    });
    expect(EvaluationResult.parse(result)).toEqual(result);
  });

  it("runs the reference once for several executors, with the results of each alone", async () => {
    const windows = cutWindows(text, { windowTokens: 4 });
    const log = { rows: [], live: 0 };
    const together = await evaluateAll({
      executors: [tableExecutor(uniform), tableExecutor(skewed)],
      reference: tableExecutor(skewed, log),
      windows,
    });
    expect(log.rows).toHaveLength(1);
    expect(log.live).toBe(0);
    const alone = [uniform, skewed].map((table) =>
      evaluate({ executor: tableExecutor(table), reference: tableExecutor(skewed), windows }),
    );
    expect(together).toEqual(await Promise.all(alone));
  });

  it("gives KL divergence, top-1 agreement and both perplexities against a reference", async () => {
    const windows = cutWindows(text, { windowTokens: 4 });
    const result = await evaluate({ executor: tableExecutor(uniform), reference: tableExecutor(skewed), windows });
    const divergence = 0.75 * Math.log(0.75 / 0.5) + 0.25 * Math.log(0.25 / 0.5);
    expect(result.divergence?.mean).toBeCloseTo(divergence, 6);
    expect(result.divergence?.max).toBeCloseTo(divergence, 6);
    // The uniform rows put id 0 first, the skewed rows of id 1 put id 1 first: rows 0, 0, 1 of each window
    expect(result.divergence?.top1Agreement).toBeCloseTo(2 / 3, 9);
    expect(result.model.perplexity).toBeCloseTo(2, 6);
    expect(result.reference?.meanNll).toBeCloseTo(-(4 * Math.log(0.75) + 2 * Math.log(0.25)) / 6, 6);
  });

  it("measures the noise floor of the reference beside it", async () => {
    const windows = cutWindows(text, { windowTokens: 4 });
    const [executor, reference, noiseReference] = [uniform, skewed, skewed].map((table) => tableExecutor(table));
    const result = await evaluate({ executor, reference, noiseReference, windows });
    expect(result.noiseFloor).toMatchObject({ mean: 0, max: 0, top1Agreement: 1 });
    expect(result.divergence?.mean).toBeGreaterThan(0.1);
  });

  it("scores only the second half where told", async () => {
    const windows = cutWindows(text, { windowTokens: 8, scored: "second-half" });
    const result = await evaluate({ executor: tableExecutor(skewed), windows });
    expect(result.scoredTokens).toBe(3); // 0->0, 0->1, 1->1
    expect(result.model.meanNll).toBeCloseTo(-(2 * Math.log(0.75) + Math.log(0.25)) / 3, 6);
  });

  it("does not depend on passes and chunks, and holds no more rows than told", async () => {
    const ids = Int32Array.from({ length: 400 }, (_, i) => (i * i) % 2);
    const windows = cutWindows(ids, { windowTokens: 40 });
    const whole = await evaluate({ executor: tableExecutor(skewed), reference: tableExecutor(uniform), windows });
    const log = { rows: [] as number[], live: 0 };
    const executor = tableExecutor(skewed, log);
    const split = await evaluate({
      executor,
      reference: tableExecutor(uniform),
      windows,
      rowsPerPass: 80,
      logitRows: 7,
    });
    expect(split).toEqual(whole);
    expect(Math.max(...log.rows)).toBe(7);
    expect(log.live).toBe(0);
  });

  it("reports windows done and stops when told, with nothing left behind", async () => {
    const windows = cutWindows(text, { windowTokens: 4 });
    const stop = new AbortController();
    const log = { rows: [], live: 0 };
    const done: number[] = [];
    const work = evaluate({
      executor: tableExecutor(skewed, log),
      windows,
      rowsPerPass: 4,
      signal: stop.signal,
      onProgress: (progress) => {
        done.push(progress.done);
        stop.abort();
      },
    });
    await expect(work).rejects.toThrow("stopped");
    expect(done).toEqual([1]);
    expect(log.live).toBe(0);
  });

  it.skipIf(!HAS_ADDON)(`gives the same on an executor's engine (${ADDON_STATE})`, async () => {
    const windows = cutWindows(text, { windowTokens: 4 });
    const broken = tableExecutor([
      [Number.NaN, 1],
      [1, 1],
    ]);
    const maths = nativeMaths(engineOf(ISAS[ISAS.length - 1]));
    const request = { reference: tableExecutor(uniform), noiseReference: tableExecutor(uniform), windows };
    const onEngine = { ...request, reference: { ...tableExecutor(uniform), maths } };
    const plain = await evaluate({ executor: tableExecutor(skewed), ...request });
    const found = await evaluate({ executor: tableExecutor(skewed), ...onEngine });
    expect(found.divergence?.mean).toBeCloseTo(plain.divergence?.mean ?? Number.NaN, 6);
    expect(found.divergence?.top1Agreement).toBe(plain.divergence?.top1Agreement);
    expect(found.model.perplexity).toBeCloseTo(plain.model.perplexity, 5);
    expect(found.reference?.perplexity).toBeCloseTo(2, 5);
    expect(found.noiseFloor?.mean).toBe(0);
    const alone = await evaluate({ executor: { ...tableExecutor(skewed), maths }, windows });
    expect(alone.model.perplexity).toBeCloseTo(plain.model.perplexity, 5);
    const work = evaluate({ executor: { ...broken, maths }, windows });
    await expect(work).rejects.toThrow("output head: expected finite numbers");
  });

  it("refuses another vocabulary, logits that are not finite, and nothing to score", async () => {
    const windows = cutWindows(text, { windowTokens: 4 });
    const three = tableExecutor([
      [0.2, 0.3, 0.5],
      [1, 1, 1],
      [1, 1, 1],
    ]);
    const executor = tableExecutor(skewed);
    await expect(evaluate({ executor, reference: three, windows })).rejects.toThrow(
      "expected 2 tokens as in the model, found 3",
    );
    const broken = tableExecutor([
      [Number.NaN, 1],
      [1, 1],
    ]);
    await expect(evaluate({ executor: broken, windows })).rejects.toThrow("output head: expected finite numbers");
    await expect(evaluate({ executor, windows: separateWindows([]) })).rejects.toThrow("at least one token");
  });
});
