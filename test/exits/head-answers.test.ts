import { describe, expect, it } from "vitest";
import { Confidence } from "../../src/artifact/exits.ts";
import { confidencesOf, exitHeadName } from "../../src/decoding/speculative/exit-set.ts";
import { Interrupted } from "../../src/errors.ts";
import { headAnswers, loadTrainedHeads } from "../../src/exits/head-answers.ts";
import { exitWeightsOf, finalNormOf, type HeadKind, startHead, storedHead } from "../../src/exits/head-parameters.ts";
import type { SavedStates } from "../../src/exits/states.ts";
import type { TrainedHead } from "../../src/exits/train-heads.ts";
import { gatherHeadRows } from "../../src/exits/vocabulary.ts";
import type { AnyExecutor } from "../../src/runtime/executor.ts";
import { f16ToF32Array, f32ToF16Array } from "../../src/tensor/half.ts";
import { Random } from "../../src/tensor/random.ts";
import { packedSource, randomSource, smallSpec } from "../runtime/random-model.ts";
import { executorsOf, TEST_EXECUTORS } from "../runtime/test-executors.ts";

const TOKENS = 23;
const POINTS = [1, 2];
/** Most answers are the tail, which stands for the other ids, or one of these. */
const IDS = Int32Array.of(2, 7, 8, 30, 36);

const source = await packedSource(randomSource(smallSpec({ blocks: 3 })), "q8s-g32");
const random = new Random(4);
const states = new Map([...POINTS, 3].map((depth) => [depth, f32ToF16Array(normals(TOKENS * 16))]));
const argmax = Int32Array.from({ length: TOKENS }, () => IDS[random.nextInt(IDS.length)]);

function normals(length: number): Float32Array {
  return Float32Array.from({ length }, () => random.nextNormal());
}

/** The same states as if they lay in two shards on disk. */
const saved: SavedStates = {
  tokens: TOKENS,
  shards: [16, 7],
  read: async (shard) => {
    const [from, to] = shard === 0 ? [0, 16] : [16, TOKENS];
    return {
      tokens: to - from,
      states: new Map([...states].map(([depth, data]) => [depth, data.slice(from * 16, to * 16)])),
      teacher: { logSumExp: new Float32Array(to - from), argmax: argmax.slice(from, to) },
    };
  },
};

/** Heads that have learned something, at random. */
async function trainedHeads(kind: HeadKind, ids: Int32Array | null): Promise<TrainedHead[]> {
  const start = { kind, rank: 3, rows: await gatherHeadRows(source, ids), norm: await finalNormOf(source) };
  const score = { loss: 0, agreement: 0 };
  return POINTS.map((blocks) => {
    const parameters = startHead(start, random.fork(`${blocks}`)).map((one) => ({
      ...one,
      values: one.values.map((value) => value + 0.2 * random.nextNormal()),
    }));
    return { blocks, parameters: storedHead(parameters), before: score, after: score, steps: 1 };
  });
}

async function withHeads<T>(
  kind: "native" | "tfjs",
  [headKind, ids]: [HeadKind, Int32Array | null],
  work: (executor: AnyExecutor, asked: Awaited<ReturnType<typeof loadTrainedHeads>>) => Promise<T>,
): Promise<T> {
  const executor = await executorsOf(kind, "packed")(source);
  const heads = await trainedHeads(headKind, ids);
  try {
    return await work(executor, await loadTrainedHeads(executor, { source, heads, ids }));
  } finally {
    await executor.dispose();
  }
}

describe.each(TEST_EXECUTORS)("what heads say of saved states: %s", (kind) => {
  it.each<[HeadKind, Int32Array | null]>([
    ["adapter", IDS],
    ["linear", IDS],
    ["adapter", null],
  ])("is what decoding hears of them: %s", async (headKind, ids) => {
    await withHeads(kind, [headKind, ids], async (executor, asked) => {
      expect(asked).toEqual(POINTS.map((blocks) => ({ blocks, name: exitHeadName(blocks) })));
      for (const metric of Confidence.options) {
        const answers = await headAnswers(executor, asked, { saved, metric, ids, batchTokens: 5 });
        for (const [i, { blocks, name }] of asked.entries()) {
          const { confidence, agrees, outside } = answers[i];
          const hidden = executor.write(f16ToF32Array(states.get(blocks) ?? new Uint16Array()), TOKENS);
          for (let token = 0; token < TOKENS; token++) {
            const one = await executor.answers(hidden, Int32Array.of(token), { head: name });
            const logits = await executor.logits(hidden, Int32Array.of(token), { head: name });
            const best = logits.indexOf(Math.max(...logits));
            // Tensor libraries sum in another order beside other rows.
            expect(Math.abs(confidence[token] - confidencesOf(one, metric)[0])).toBeLessThanOrEqual(
              kind === "native" ? 0 : 1e-4,
            );
            expect(outside[token]).toBe(best === ids?.length ? 1 : 0);
            expect(agrees[token]).toBe((ids ? ids[best] : best) === argmax[token] ? 1 : 0);
          }
          executor.release(hidden);
        }
        expect(answers.some(({ agrees }) => agrees.includes(1))).toBe(true);
        if (ids) expect(answers.some(({ outside }) => outside.includes(1) && outside.includes(0))).toBe(true);
      }
    });
  });
});

it("stops between batches", async () => {
  await withHeads("tfjs", ["adapter", IDS], async (executor, asked) => {
    const options = { saved, metric: "entropy", ids: IDS, batchTokens: 5, signal: AbortSignal.abort() } as const;
    await expect(headAnswers(executor, asked, options)).rejects.toThrow(Interrupted);
  });
});

it("a head's numbers are those of the exits file", async () => {
  const [adapter] = await trainedHeads("adapter", IDS);
  const weights = exitWeightsOf(adapter.parameters);
  expect(weights).toMatchObject({ normBias: null, matrix: null });
  expect([weights.norm, weights.tail, weights.down, weights.up].map((values) => values?.length)).toEqual([
    ...[16, 17, 48, 48],
  ]);
  const [linear] = await trainedHeads("linear", null);
  expect(exitWeightsOf(linear.parameters)).toMatchObject({ down: null, up: null, tail: null });
  expect(() => exitWeightsOf([])).toThrow("no norm");
});
