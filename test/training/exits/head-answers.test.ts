import { describe, expect, it } from "vitest";
import { Confidence } from "../../../src/artifact/exits/table.ts";
import { confidencesOf, exitHeadName } from "../../../src/decoding/exits/exit-set.ts";
import { Interrupted } from "../../../src/errors.ts";
import { readOutputVectors } from "../../../src/model/output-vectors.ts";
import type { AnyExecutor } from "../../../src/runtime/executor.ts";
import { answersOf } from "../../../src/runtime/head-answers.ts";
import { f16ToF32Array, f32ToF16Array } from "../../../src/tensor/half.ts";
import { Random } from "../../../src/tensor/random.ts";
import { type AskedHead, headAnswers, loadTrainedHeads } from "../../../src/training/exits/head-answers.ts";
import { exitWeightsOf, type HeadKind, startHead, storedHead } from "../../../src/training/exits/head-parameters.ts";
import type { SavedStates } from "../../../src/training/exits/states.ts";
import type { TrainedHead } from "../../../src/training/exits/train-heads.ts";
import { gatherHeadRows } from "../../../src/training/exits/vocabulary.ts";
import { HAS_ADDON, needsAddon } from "../../runtime/native/addon-state.ts";
import { packedSource, randomSource, smallSpec } from "../../runtime/random-model.ts";
import { executorsOf, TEST_EXECUTORS } from "../../runtime/test-executors.ts";

const TOKENS = 23;
const POINTS = [1, 2];
/** Some answers are the tail, which stands for the other ids. */
const IDS = Int32Array.from({ length: 19 }, (_, i) => 2 * i);

const source = await packedSource(randomSource(smallSpec({ blocks: 3 })), "q8s-g32");
const random = new Random(4);
const states = new Map([...POINTS, 3].map((depth) => [depth, f32ToF16Array(normals(TOKENS * 16))]));

function normals(length: number): Float32Array {
  return Float32Array.from({ length }, () => random.nextNormal());
}

/** The same states as if they lay in two shards on disk. argmax: the whole model's answers, [tokens]. */
function savedStates(argmax: Int32Array): SavedStates {
  return {
    tokens: TOKENS,
    shards: [16, 7],
    sequences: [23],
    read: async (shard) => {
      const [from, to] = shard === 0 ? [0, 16] : [16, TOKENS];
      return {
        tokens: to - from,
        states: new Map([...states].map(([depth, data]) => [depth, data.slice(from * 16, to * 16)])),
        teacher: { logSumExp: new Float32Array(to - from), argmax: argmax.slice(from, to) },
      };
    },
  };
}

/** Logits of a head for every token, each computed alone. */
async function logitsOf(executor: AnyExecutor, { blocks, name }: AskedHead): Promise<Float32Array[]> {
  const hidden = executor.write(f16ToF32Array(states.get(blocks) ?? new Uint16Array()), TOKENS);
  const logits: Float32Array[] = [];
  for (let token = 0; token < TOKENS; token++) {
    logits.push(await executor.logits(hidden, Int32Array.of(token), { head: name }));
  }
  executor.release(hidden);
  return logits;
}

/** Heads that have learned something, at random. */
async function trainedHeads(kind: HeadKind, ids: Int32Array | null): Promise<TrainedHead[]> {
  const start = {
    kind,
    rank: 3,
    rows: await gatherHeadRows(source, ids),
    norm: (await readOutputVectors(source)).norm,
  };
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
    return await work(executor, await loadTrainedHeads(executor, { source, kind: headKind, heads, ids }));
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
      expect(asked).toEqual(POINTS.map((blocks) => ({ blocks, name: exitHeadName(blocks, headKind) })));
      const logits = await Promise.all(asked.map((head) => logitsOf(executor, head)));
      const bestOf = (row: Float32Array) => row.indexOf(Math.max(...row));
      // The whole model says what the first head says of every other token, else an id that no row of logits has.
      const idOf = (best: number) => (ids ? (ids[best] ?? -1) : best);
      const argmax = Int32Array.from(logits[0], (row, token) => (token % 2 === 0 ? idOf(bestOf(row)) : -2));
      for (const metric of Confidence.options) {
        const answers = await headAnswers(executor, asked, {
          ...{ saved: savedStates(argmax), metric, ids, batchTokens: 5 },
        });
        for (const [i, { confidence, agrees, outside }] of answers.entries()) {
          for (const [token, row] of logits[i].entries()) {
            const best = bestOf(row);
            const alone = confidencesOf(answersOf(row, row.length), metric)[0];
            expect(Math.abs(confidence[token] - alone)).toBeLessThan(1e-4);
            expect(outside[token]).toBe(best === ids?.length ? 1 : 0);
            expect(agrees[token]).toBe(best !== ids?.length && idOf(best) === argmax[token] ? 1 : 0);
          }
        }
        expect(answers[0].agrees).toContain(1);
        if (ids) expect(answers.some(({ outside }) => outside.includes(1) && outside.includes(0))).toBe(true);
      }
    });
  });
});

it.skipIf(!HAS_ADDON)(needsAddon("it is decoding's own number, bit for bit"), async () => {
  await withHeads("native", ["adapter", IDS], async (executor, asked) => {
    const options = {
      saved: savedStates(new Int32Array(TOKENS)),
      metric: "entropy",
      ids: IDS,
      batchTokens: 5,
    } as const;
    const [{ confidence }] = await headAnswers(executor, asked, options);
    const hidden = executor.write(f16ToF32Array(states.get(POINTS[0]) ?? new Uint16Array()), TOKENS);
    for (const [token, value] of confidence.entries()) {
      const { entropy } = await executor.answers(hidden, Int32Array.of(token), { head: asked[0].name });
      expect(entropy[0]).toBe(value);
    }
    executor.release(hidden);
  });
});

it("stops between batches", async () => {
  await withHeads("tfjs", ["adapter", IDS], async (executor, asked) => {
    const saved = savedStates(new Int32Array(TOKENS));
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
