import { describe, expect, it } from "vitest";
import { createSampler, mostLikely, type SamplerOptions } from "../../../src/decoding/sampler.ts";
import { drawByWeight, greedyJudge, samplingJudge } from "../../../src/decoding/speculative/draft-judge.ts";

const P = Float32Array.of(1.2, -0.3, 0.4, 2, -1, 0.1);
const Q = Float32Array.of(0.2, 1.1, -0.5, 1.4, 0.3, -2);
/** What the full model says of every row. */
const OUTPUT = { best: () => mostLikely(P), logits: () => P };
const DRAWS = 20_000;
/**
 * 99.9 % quantile of chi-square with 5 degrees of freedom: a right sampler stays below it with this seed, a wrong one
 * does not.
 */
const CHI_SQUARE_5 = 20.52;

/** What a plain sampler draws by, from its definition: temperature, then the k most likely. */
function expectedOf(logits: Float32Array, { temperature = 1, topK = 0 }: Partial<SamplerOptions>): number[] {
  const weights = Array.from(logits, (value) => Math.exp(value / temperature));
  const least = topK === 0 ? 0 : [...weights].sort((a, b) => b - a)[topK - 1];
  const kept = weights.map((weight) => (weight >= least ? weight : 0));
  const total = kept.reduce((sum, weight) => sum + weight, 0);
  return kept.map((weight) => weight / total);
}

function chiSquare(counts: readonly number[], expected: readonly number[], draws: number): number {
  return counts.reduce((sum, count, i) => {
    if (expected[i] === 0) return count === 0 ? sum : Number.POSITIVE_INFINITY;
    return sum + (count - draws * expected[i]) ** 2 / (draws * expected[i]);
  }, 0);
}

/** Counts of the tokens that the text takes, and the share of drafts taken. */
function settleMany(options: Partial<SamplerOptions>, ids: Int32Array | null, head: Float32Array) {
  const judge = samplingJudge(options, { ids, vocabSize: P.length });
  const counts = P.reduce<number[]>((all) => [...all, 0], []);
  let taken = 0;
  for (let i = 0; i < DRAWS; i++) {
    const id = judge.propose({ exit: 0, id: 0, logits: head }, 0, []);
    const settled = judge.settle(OUTPUT, 0, id, []);
    counts[settled]++;
    if (settled === id) taken++;
  }
  return { counts, acceptance: taken / DRAWS };
}

describe("speculative sampling", () => {
  it.each([
    { name: "full vocabulary", options: { temperature: 1, seed: 1 }, ids: null, head: Q },
    { name: "a low temperature", options: { temperature: 0.6, seed: 2 }, ids: null, head: Q },
    { name: "the three most likely", options: { temperature: 1, topK: 3, seed: 3 }, ids: null, head: Q },
    {
      name: "some ids and a tail that is likely",
      options: { temperature: 1, seed: 4 },
      ids: Int32Array.of(4, 0, 3),
      head: Float32Array.of(0.3, 0.2, 1.4, 5),
    },
  ])("draws by the full model's distribution: $name", ({ options, ids, head }) => {
    const { counts, acceptance } = settleMany(options, ids, head);
    const expected = expectedOf(P, options);
    expect(chiSquare(counts, expected, DRAWS)).toBeLessThan(CHI_SQUARE_5);
    // Σ min(p, q): what the rule can reach, and no draw from p alone gives.
    const spread = P.map((_, id) => (ids === null ? head[id] : ids.includes(id) ? head[ids.indexOf(id)] : -Infinity));
    const q = expectedOf(spread, options);
    const overlap = expected.reduce((sum, p, id) => sum + Math.min(p, q[id]), 0);
    expect(Math.abs(acceptance - overlap)).toBeLessThan(0.015);
    // The test has teeth: the head's own distribution fails it.
    expect(
      chiSquare(
        q.map((share) => share * DRAWS),
        expected,
        DRAWS,
      ),
    ).toBeGreaterThan(10 * CHI_SQUARE_5);
  });

  it("draws by it where there is no draft", () => {
    const judge = samplingJudge({ temperature: 1, seed: 5 }, { ids: null, vocabSize: P.length });
    const counts = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < DRAWS; i++) counts[judge.settle(OUTPUT, 0, null, [])]++;
    expect(chiSquare(counts, expectedOf(P, {}), DRAWS)).toBeLessThan(CHI_SQUARE_5);
  });

  it("takes every draft of a head that is the full model", () => {
    expect(settleMany({ temperature: 1, seed: 6 }, null, P).acceptance).toBe(1);
  });

  it("applies the penalty to drafts and verification", () => {
    const options = { temperature: 1, repetitionPenalty: 1e6, seed: 7 };
    const judge = samplingJudge(options, { ids: null, vocabSize: 2 });
    const both = Float32Array.of(-1, 1);
    for (let i = 0; i < 50; i++) expect(judge.propose({ exit: 0, id: 0, logits: both }, 0, [0])).toBe(1);
  });
});

describe("the greedy judge", () => {
  it("proposes the exit's answer and takes the sampler's", () => {
    const judge = greedyJudge(createSampler());
    expect(judge.propose({ exit: 0, id: 4, logits: null }, 0, [])).toBe(4);
    expect(judge.settle(OUTPUT, 0, 4, [])).toBe(3);
    expect(judge.needs).toEqual({ exitLogits: false, output: "best" });
  });

  it("needs the full model's logits for a penalty", () => {
    const judge = greedyJudge(createSampler({ repetitionPenalty: 3 }));
    expect(judge.needs).toEqual({ exitLogits: false, output: "logits" });
    expect(judge.settle(OUTPUT, 0, 4, [3])).toBe(0);
  });
});

it("draws no index of weight 0, at either end of the range", () => {
  const weights = Float64Array.of(0, 0.25, 0.75, 0);
  expect([0, 0.2499, 0.25, 0.9999999999999999].map((u) => drawByWeight(weights, 1, u))).toEqual([1, 1, 2, 2]);
});
