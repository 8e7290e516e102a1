import { describe, expect, it } from "vitest";
import { scoreChoices, sharedRows } from "../../../src/evaluation/zero-shot/score-choices.ts";
import { summarizeRow } from "../../../src/maths/plain/row-distribution.ts";
import { openCheckpoint } from "../../../src/model/checkpoint.ts";
import { Random } from "../../../src/tensor/random.ts";
import { executorsOf, TEST_EXECUTORS } from "../../runtime/test-executors.ts";
import { STORIES } from "../../support/fixtures.ts";
import { type BigramLog, bigramExecutor } from "./bigram-executor.ts";

const TABLE = [
  [0.5, 0.25, 0.25],
  [0.1, 0.7, 0.2],
  [0.2, 0.2, 0.6],
];
const choice = (ids: number[], firstTarget: number) => ({ ids: Int32Array.from(ids), firstTarget });
const options = { kvType: "f32", rowsPerPass: 64 } as const;

describe("scoreChoices", () => {
  it("adds the log-probabilities of the continuation, worked out by hand", async () => {
    const log: BigramLog = { passes: [], live: 0 };
    const executor = bigramExecutor(TABLE, log);
    // After 1: row (0 + 1) mod 3; after 1, 2: row (1 + 2) mod 3; after 2, 0: row 2.
    const [[two, one]] = await scoreChoices(executor, [[choice([1, 2, 0, 2], 2), choice([1, 1], 1)]], options);
    expect(two.logLikelihood).toBeCloseTo(Math.log(0.5) + Math.log(0.6), 6);
    expect(two.greedy).toBe(true);
    expect(one.logLikelihood).toBeCloseTo(Math.log(0.7), 6);
    const [[unlikely]] = await scoreChoices(executor, [[choice([1, 2, 1, 2], 2)]], options);
    expect(unlikely.logLikelihood).toBeCloseTo(Math.log(0.25) + Math.log(0.25), 6);
    expect(unlikely.greedy).toBe(false);
    expect(log.live).toBe(0);
  });

  it("computes a shared beginning once, in any grouping with the same figures", async () => {
    const random = new Random(3);
    const examples = Array.from({ length: 9 }, (_, i) => {
      const context = Array.from({ length: 12 + i }, () => random.nextInt(3));
      return Array.from({ length: 3 }, (_, k) => {
        const ids = [...context, ...Array.from({ length: 1 + k }, () => random.nextInt(3))];
        return choice(ids, context.length);
      });
    });
    const log: BigramLog = { passes: [], live: 0 };
    const together = await scoreChoices(bigramExecutor(TABLE, log), examples, { ...options, rowsPerPass: 1000 });
    const beginnings = examples.reduce((sum, [{ firstTarget }]) => sum + firstTarget - 1, 0);
    // Then, of each choice, the context's last id and what comes before the continuation's last.
    expect(log.passes).toEqual([beginnings, 9 * (1 + 2 + 3)]);
    const apart = await Promise.all(
      examples.flatMap((choices) =>
        choices.map((one) => scoreChoices(bigramExecutor(TABLE, { passes: [], live: 0 }), [[one]], options)),
      ),
    );
    expect(together.flat()).toEqual(apart.flat(2));
    expect(await scoreChoices(bigramExecutor(TABLE, log), examples, { ...options, rowsPerPass: 1 })).toEqual(together);
    expect(log.live).toBe(0);
  });

  it("computes a choice whole that needs another rotary regime than the shorter ones", async () => {
    const context = Array.from({ length: 20 }, (_, i) => i % 3);
    const choices = [choice([...context, 1], 20), choice([...context, 1, 2, 0, 1, 2], 20)];
    const log: BigramLog = { passes: [], live: 0 };
    const [scores] = await scoreChoices(bigramExecutor(TABLE, log, 23), [choices], options);
    expect(log.passes).toEqual([19, 1 + 24]);
    const [plain] = await scoreChoices(bigramExecutor(TABLE, log), [choices], options);
    expect(scores).toEqual(plain);
    expect(log.live).toBe(0);
  });

  it("reports examples, stops when told, refuses logits that are not finite, and leaves nothing behind", async () => {
    const examples = Array.from({ length: 4 }, () => [choice([1, 2, 0], 1)]);
    const log: BigramLog = { passes: [], live: 0 };
    const stop = new AbortController();
    const seen: number[] = [];
    const work = scoreChoices(bigramExecutor(TABLE, log), examples, {
      ...options,
      rowsPerPass: 4,
      signal: stop.signal,
      onDone: (done) => {
        seen.push(done);
        stop.abort();
      },
    });
    await expect(work).rejects.toThrow("stopped");
    expect(seen).toEqual([2]);
    const broken = bigramExecutor([[Number.NaN, 1, 1]], log);
    await expect(scoreChoices(broken, examples, options)).rejects.toThrow("expected finite numbers");
    expect(log.live).toBe(0);
  });
});

describe("sharedRows", () => {
  it("leaves each choice the row before its first scored id, and short beginnings alone", () => {
    const ids = Array.from({ length: 12 }, (_, i) => i);
    expect(sharedRows([choice([...ids, 50], 12), choice([...ids, 60], 12)])).toBe(11);
    // Another word in the context, as in WinoGrande
    expect(sharedRows([choice([...ids.slice(0, 9), 40, 50], 10), choice([...ids.slice(0, 9), 41, 50], 10)])).toBe(9);
    expect(sharedRows([choice(ids, 4), choice(ids, 4)])).toBe(0);
    expect(sharedRows([choice(ids, 11)])).toBe(0);
  });
});

describe.each(TEST_EXECUTORS)("choices on %s", (kind) => {
  it("are as likely as whole sequences without a cache say", async () => {
    const source = await openCheckpoint(STORIES);
    const executor = await executorsOf(kind, "resident")(source);
    const random = new Random(5);
    const context = Array.from({ length: 70 }, () => 5 + random.nextInt(400));
    const choices = [3, 1, 9].map((length) =>
      choice([...context, ...Array.from({ length }, () => 5 + random.nextInt(400))], 70),
    );
    const [scores] = await scoreChoices(executor, [choices], options);
    for (const [i, { ids, firstTarget }] of choices.entries()) {
      const embedded = await executor.embed(ids);
      const spans = [{ cache: null, position: 0, count: ids.length }];
      const hidden = await executor.runBlocks(embedded, 0, source.spec.blocks.length, spans);
      const logits = await executor.logits(hidden);
      const { vocabSize } = source.spec;
      let sum = 0;
      for (let t = firstTarget; t < ids.length; t++) {
        const row = logits.subarray((t - 1) * vocabSize, t * vocabSize);
        sum += row[ids[t]] - summarizeRow(row).logSumExp;
      }
      if (kind === "native") expect(scores[i].logLikelihood).toBe(sum);
      else expect(scores[i].logLikelihood).toBeCloseTo(sum, 3);
      executor.release(embedded);
      executor.release(hidden);
    }
    await executor.dispose();
    await source.close();
  });
});
