import { afterAll, describe, expect, it } from "vitest";
import type { InputStatistics } from "../../src/calibration/gram-sum.ts";
import { diagonalOf, openStatisticsDescent, type StatisticsOptions } from "../../src/calibration/statistics.ts";
import type { Maths } from "../../src/maths/maths.ts";
import { nativeMaths } from "../../src/maths/native.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { linearsOf, matricesOf } from "../../src/model/decoder-spec.ts";
import type { WeightSource } from "../../src/model/weight-source.ts";
import type { NativeEngine } from "../../src/native/addon.ts";
import { openEngine } from "../../src/native/load.ts";
import type { Progress } from "../../src/progress.ts";
import { packWith, quantizedOverlay } from "../../src/quantization/overlay.ts";
import { createExecutor } from "../../src/runtime/create-executor.ts";
import { Random } from "../../src/tensor/random.ts";
import { hiddenStates, maxDifference } from "../runtime/compare.ts";
import { architectureCases } from "../runtime/goldens.ts";
import { HAS_ADDON, needsAddon } from "../runtime/native/addon-state.ts";
import { randomSource, smallSpec } from "../runtime/random-model.ts";
import { executorsOf, TEST_EXECUTORS } from "../runtime/test-executors.ts";
import { packAs } from "../support/pack-as.ts";

const engines: NativeEngine[] = [];
const mathsOf = (threads: number): Maths => {
  if (!HAS_ADDON) return plainMaths;
  const engine = openEngine({ threads });
  engines.push(engine);
  return nativeMaths(engine);
};
afterAll(() => {
  for (const engine of engines) engine.dispose();
});

/** Sequences of random ids below `vocabSize`. */
function sequencesOf(lengths: readonly number[], vocabSize: number): Int32Array[] {
  const random = new Random(8);
  return lengths.map((length) => Int32Array.from({ length }, () => random.nextInt(vocabSize)));
}

/** Runs `work` on a descent of the test executor, which is then closed. */
async function withDescent<T>(
  source: WeightSource,
  options: Partial<StatisticsOptions>,
  work: (descent: Awaited<ReturnType<typeof openStatisticsDescent>>) => Promise<T>,
): Promise<T> {
  const descent = await openStatisticsDescent({
    source,
    sequences: sequencesOf([9, 5, 12], source.spec.vocabSize),
    createExecutor: executorsOf(TEST_EXECUTORS[0], "streamed"),
    maths: plainMaths,
    ...options,
  });
  try {
    return await work(descent);
  } finally {
    await descent.close();
  }
}

/** Statistics of every matrix and of the head's input. */
async function allStatistics(source: WeightSource, options: Partial<StatisticsOptions> = {}) {
  return withDescent(source, options, async (descent) => {
    const all = new Map<string, InputStatistics>();
    for (const block of source.spec.blocks) {
      const statistics = await descent.collect();
      for (const { role } of linearsOf(block)) {
        const id = `blocks.${descent.at}.${role}`;
        all.set(id, statistics.of(id));
      }
      await descent.advance();
    }
    all.set("head", await descent.collectHead());
    return all;
  });
}

/** Mean of x^T x over rows [rows, cols], in f64. */
function directGram(rows: Float32Array, cols: number): Float64Array {
  const gram = new Float64Array(cols * cols);
  const count = rows.length / cols;
  for (let at = 0; at < rows.length; at += cols) {
    for (let i = 0; i < cols; i++) {
      for (let j = 0; j < cols; j++) gram[i * cols + j] += (rows[at + i] * rows[at + j]) / count;
    }
  }
  return gram;
}

/** Largest |a_ij - b_ij| / sqrt(b_ii b_jj). */
function relativeDifference(a: ArrayLike<number>, b: ArrayLike<number>, cols: number): number {
  const most = Math.max(...Array.from({ length: cols }, (_, i) => b[i * cols + i]));
  let largest = 0;
  for (let i = 0; i < cols; i++) {
    for (let j = 0; j < cols; j++) {
      // Columns that hardly move are held to the largest one's millionth.
      const scale = Math.sqrt(Math.max(b[i * cols + i], 1e-6 * most) * Math.max(b[j * cols + j], 1e-6 * most));
      const difference = Math.abs(a[i * cols + j] - b[i * cols + j]) / scale;
      if (!(difference <= largest)) largest = difference;
    }
  }
  return largest;
}

describe.skipIf(!HAS_ADDON)(needsAddon("statistics of every architecture"), () => {
  it.each(architectureCases())(
    "$name: sums on native are those of tfjs' inputs, computed directly",
    async ({ folder }) => {
      const source = await openCheckpoint(folder);
      try {
        const sequences = sequencesOf([20, 70, 7], source.spec.vocabSize);
        const found = await allStatistics(source, {
          sequences,
          maths: mathsOf(2),
          createExecutor: executorsOf("native", "streamed"),
        });
        const expected = await directInputs(source, sequences);
        expect([...expected.keys()].toSorted()).toEqual([...found.keys()].toSorted());
        for (const [id, { rows, cols }] of expected) {
          const statistics = found.get(id);
          expect(statistics).toMatchObject({ tokens: 97, cols });
          const gram = statistics?.gram ?? [];
          // Both executors are within 2e-4 of the reference's hidden states (goldens).
          expect(relativeDifference(gram, directGram(rows, cols), cols), id).toBeLessThan(4e-4);
        }
        const wanted = new Map(matricesOf(source.spec).map(({ id, cols }) => [id, cols]));
        for (const [id, { cols }] of found) expect(cols).toBe(wanted.get(id) ?? source.spec.hiddenSize);
      } finally {
        await source.close();
      }
    },
  );
});

/** Rows of the input of every matrix, all sequences one after the other, as the tfjs executor shows them. */
async function directInputs(source: WeightSource, sequences: readonly Int32Array[]) {
  const rows = new Map<string, { rows: Float32Array; cols: number }>();
  const executor = await createExecutor(source, { executor: "tfjs", residency: "streamed" });
  try {
    const spans = sequences.map(({ length: count }) => ({ cache: null, position: 0, count }));
    const embedded = await executor.embed(Int32Array.from(sequences.flatMap((ids) => [...ids])));
    const hidden = await executor.runBlocks(embedded, 0, source.spec.blocks.length, spans, {
      inputs({ matrices, data, cols }) {
        const copy = data.slice();
        for (const id of matrices) rows.set(id, { rows: copy, cols });
      },
    });
    const { hiddenSize: cols } = source.spec;
    const identity = new Float32Array(cols * cols).map((_, i) => (i % (cols + 1) === 0 ? 1 : 0));
    const { finalNorm: spec } = source.spec;
    const weight = await source.readVector("finalNorm.weight");
    const bias = spec.kind === "layer" ? await source.readVector("finalNorm.bias") : null;
    const matrix = { kind: "dense", rows: cols, cols, data: identity } as const;
    await executor.loadHead("identity", {
      norm: { spec, weight, bias },
      adapter: null,
      matrix,
      bias: null,
      tail: null,
    });
    rows.set("head", { rows: await executor.logits(hidden, undefined, { head: "identity" }), cols });
    return rows;
  } finally {
    await executor.dispose();
  }
}

describe("a descent for statistics", () => {
  const source = randomSource(smallSpec({ blocks: 3, gated: true }));

  it("shares the statistics of shared inputs, over all tokens, unpadded", async () => {
    await withDescent(source, {}, async (descent) => {
      const { of, inputs, block } = await descent.collect();
      expect(block).toBe(0);
      expect(of("blocks.0.attn.k")).toBe(of("blocks.0.attn.q"));
      expect(of("blocks.0.mlp.up")).toBe(of("blocks.0.mlp.gate"));
      expect(of("blocks.0.mlp.up")).not.toBe(of("blocks.0.attn.q"));
      expect(inputs.map(({ matrices }) => matrices.length)).toEqual([3, 1, 2, 1]);
      expect(of("blocks.0.mlp.down")).toMatchObject({ tokens: 26, cols: 24 });
      expect(() => of("blocks.1.attn.q")).toThrow("no matrix blocks.1.attn.q");
    });
  });

  it("moves on by the weights it is given, and collects by the original ones", async () => {
    const quantized = () =>
      quantizedOverlay(
        source,
        packAs((id) => (id === "embedding" ? "q8s-g32" : "q3s-g32"), "nearest"),
      );
    const sequences = sequencesOf([9, 5, 12], 37);
    const expected: Float32Array[][] = [];
    for (const weights of [source, quantized()]) {
      const executor = await executorsOf(TEST_EXECUTORS[0], "streamed")(weights);
      const states = await Promise.all(sequences.map((ids) => hiddenStates(executor, [...ids])));
      expected.push(states.flatMap((each) => [each[1], each[2]]));
      await executor.dispose();
    }
    const joined = (states: readonly { hidden: Float32Array }[]) => states.flatMap(({ hidden }) => [...hidden]);
    const stateAfter = (kind: number, block: number) =>
      expected[kind].filter((_, i) => i % 2 === block).flatMap((x) => [...x]);
    await withDescent(source, { rowsPerPass: 14, embedding: quantized() }, async (descent) => {
      expect(descent.states.map(({ ids }) => ids.length)).toEqual([14, 12]);
      const first = await descent.collect();
      await descent.advance(quantized());
      expect(maxDifference(joined(descent.states), stateAfter(1, 0))).toBeLessThan(1e-5);
      expect(maxDifference(joined(descent.states), stateAfter(0, 0))).toBeGreaterThan(1e-2);
      expect(first.of("blocks.0.attn.q").gram).toHaveLength(256);
      // Another object each time, as a pipeline that packs block by block has it.
      await descent.advance(quantized());
      expect(maxDifference(joined(descent.states), stateAfter(1, 1))).toBeLessThan(1e-4);
      await descent.advance();
      expect(descent.at).toBe(3);
      await expect(descent.collect()).rejects.toThrow("all 3 blocks");
      expect((await descent.collectHead()).cols).toBe(16);
    });
  });

  it("gives the same whether outputs are kept or computed again, and says how far it is", async () => {
    const seen: Progress[] = [];
    const kept = await allStatistics(source, { onProgress: (progress) => seen.push(progress), rowsPerPass: 12 });
    const again = await allStatistics(source, { keepOutputs: false, rowsPerPass: 12 });
    expect([...again]).toEqual([...kept]);
    expect(seen.map(({ done }) => done)).toEqual(seen.map(({ done }) => done).toSorted((a, b) => a - b));
    expect(seen.at(-1)).toMatchObject({ stage: "statistics", done: 9, total: 9 });
  });

  it("runs a block once whose outputs are asked for before it moves on", async () => {
    const seen: Progress[] = [];
    await withDescent(source, { onProgress: (progress) => seen.push(progress) }, async (descent) => {
      const outputs = await descent.outputs();
      expect(await descent.outputs()).toBe(outputs);
      await descent.advance();
      expect(descent.states).toBe(outputs);
      // The block's one pass, and that it has been passed.
      expect(seen).toHaveLength(2);
      expect(await descent.outputs()).not.toBe(outputs);
    });
  });

  it("stops where its signal is aborted, between passes", async () => {
    const aborter = new AbortController();
    const options = { signal: aborter.signal, rowsPerPass: 5, onProgress: () => aborter.abort() };
    await expect(allStatistics(source, options)).rejects.toMatchObject({ name: "Interrupted" });
  });

  it("refuses the head before the last block, no tokens, and executors that would miss a change of weights", async () => {
    await withDescent(source, {}, async (descent) => {
      await expect(descent.collectHead()).rejects.toThrow("block 0 has not been passed");
    });
    await expect(withDescent(source, { sequences: [] }, async () => {})).rejects.toThrow("at least one token");
    const resident = executorsOf(TEST_EXECUTORS[0], "resident");
    await withDescent(source, { createExecutor: resident }, async (descent) => {
      const other = quantizedOverlay(source, packWith(plainMaths, "q3s-g32", "nearest"));
      await expect(descent.advance(other)).rejects.toThrow("expected a streamed executor");
    });
  });

  it("gives the diagonal: the mean square of every column", async () => {
    const all = await allStatistics(source);
    const statistics = all.get("blocks.1.mlp.down");
    if (!statistics) throw new Error("no statistics");
    const diagonal = diagonalOf(statistics);
    expect(diagonal).toHaveLength(24);
    diagonal.forEach((value, i) => {
      expect(value).toBe(statistics.gram[i * 24 + i]);
      expect(value).toBeGreaterThan(0);
    });
  });

  it.skipIf(!HAS_ADDON)(
    needsAddon("sums the same bits by any number of threads, and nearly those of plain TypeScript"),
    async () => {
      const runs: Map<string, InputStatistics>[] = [];
      for (const threads of [1, 2, 3]) {
        const createOnThreads = (weights: WeightSource) =>
          createExecutor(weights, { executor: "native", activations: "f32", residency: "streamed", threads });
        runs.push(await allStatistics(source, { maths: mathsOf(threads), createExecutor: createOnThreads }));
      }
      expect([...runs[1]]).toEqual([...runs[0]]);
      expect([...runs[2]]).toEqual([...runs[0]]);
      for (const [id, { gram, cols }] of await allStatistics(source)) {
        expect(relativeDifference(runs[0].get(id)?.gram ?? [], gram, cols), id).toBeLessThan(1e-6);
      }
    },
  );
});
