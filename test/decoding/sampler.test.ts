import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createSampler, mostLikely, type SamplerOptions } from "../../src/decoding/sampler.ts";

const logitsOf = (values: readonly number[]) => Float32Array.from(values);
const logitsArbitrary = fc
  .array(fc.integer({ min: -40, max: 40 }), { minLength: 1, maxLength: 30 })
  .map((v) => v.map((x) => x / 4));

/** The filters as they are written down, over the whole sorted list: probabilities by id, 0 where filtered out. */
function filteredProbabilities(values: readonly number[], options: SamplerOptions): number[] {
  const max = Math.max(...values);
  let kept = values
    .map((value, id) => ({ id, p: Math.exp((value - max) / options.temperature) }))
    .sort((a, b) => b.p - a.p || a.id - b.id);
  if (options.topK > 0) kept = kept.slice(0, options.topK);
  const whole = kept.reduce((sum, { p }) => sum + p, 0);
  let before = 0;
  if (options.topP < 1) {
    kept = kept.filter(({ p }) => {
      const keep = before < options.topP * whole;
      before += p;
      return keep;
    });
  }
  kept = kept.filter(({ p }) => p >= options.minP);
  const total = kept.reduce((sum, { p }) => sum + p, 0);
  const out = values.map(() => 0);
  for (const { id, p } of kept) out[id] = p / total;
  return out;
}

describe("greedy", () => {
  test("takes the largest logit, the lower id on ties", () => {
    expect(createSampler().next(logitsOf([1, 5, 5, 2]), [])).toBe(1);
    expect(mostLikely(logitsOf([Number.NEGATIVE_INFINITY, -3, -3]))).toBe(1);
  });

  test("refuses logits that are not numbers", () => {
    expect(() => createSampler().next(logitsOf([1, Number.NaN]), [])).toThrow(/token 1: expected finite numbers/);
  });

  test("applies the repetition penalty to positive and negative logits, once an id", () => {
    const penalised = createSampler({ repetitionPenalty: 2 });
    expect(penalised.next(logitsOf([3, 4, 1]), [1, 1, 1])).toBe(0);
    expect(penalised.next(logitsOf([3, 4, 1]), [0, 1])).toBe(1);
    expect(penalised.next(logitsOf([-1, -1.5]), [0])).toBe(1);
  });

  test("leaves the logits as they are", () => {
    const logits = logitsOf([3, 4, 1]);
    createSampler({ temperature: 1, topP: 0.5, repetitionPenalty: 3 }).next(logits, [0, 1]);
    expect([...logits]).toEqual([3, 4, 1]);
  });
});

describe("sampling", () => {
  const optionsArbitrary = fc.record({
    temperature: fc.constantFrom(0.25, 0.7, 1, 2),
    topK: fc.constantFrom(0, 1, 2, 5, 100),
    topP: fc.constantFrom(1, 0.9, 0.5, 0.1),
    minP: fc.constantFrom(0, 0.05, 0.5, 1),
    seed: fc.integer({ min: 0, max: 1000 }),
  });

  test("only ever draws what the filters keep", () => {
    fc.assert(
      fc.property(logitsArbitrary, optionsArbitrary, (values, options) => {
        const all = { repetitionPenalty: 1, ...options };
        const expected = filteredProbabilities(values, all);
        const sampler = createSampler(all);
        for (let i = 0; i < 20; i++) expect(expected[sampler.next(logitsOf(values), [])]).toBeGreaterThan(0);
      }),
    );
  });

  test("the same seed draws the same tokens, another seed others", () => {
    const values = Array.from({ length: 50 }, (_, i) => Math.sin(i));
    const drawAll = (seed: number) => {
      const sampler = createSampler({ temperature: 1, seed });
      return Array.from({ length: 40 }, () => sampler.next(logitsOf(values), []));
    };
    expect(drawAll(7)).toEqual(drawAll(7));
    expect(drawAll(7)).not.toEqual(drawAll(8));
  });

  const cases: { name: string; options: Partial<SamplerOptions> }[] = [
    { name: "temperature alone", options: { temperature: 0.8 } },
    { name: "top-k", options: { temperature: 1, topK: 4 } },
    { name: "top-p", options: { temperature: 1.5, topP: 0.8 } },
    { name: "min-p", options: { temperature: 1, minP: 0.2 } },
    { name: "all filters", options: { temperature: 1.2, topK: 8, topP: 0.9, minP: 0.1 } },
  ];
  test.each(cases)("frequencies follow the filtered distribution: $name (chi-square)", ({ options }) => {
    const values = [2, 1.5, 1.5, 1, 0.7, 0.2, 0, -0.5, -1, -1.2];
    const all = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 12, ...options };
    const expected = filteredProbabilities(values, all);
    const sampler = createSampler(all);
    const draws = 20_000;
    const counts = values.map(() => 0);
    for (let i = 0; i < draws; i++) counts[sampler.next(logitsOf(values), [])]++;
    const kept = expected.flatMap((p, id) => (p > 0 ? [{ observed: counts[id], wanted: p * draws }] : []));
    const chiSquare = kept.reduce((sum, { observed, wanted }) => sum + (observed - wanted) ** 2 / wanted, 0);
    expect(counts.reduce((sum, n, id) => (expected[id] > 0 ? sum + n : sum), 0)).toBe(draws);
    // 27.9 is the 99.9 % point for nine degrees of freedom, the most that a case has; fewer have a lower one.
    expect(chiSquare).toBeLessThan([10.8, 13.8, 16.3, 18.5, 20.5, 22.5, 24.3, 26.1, 27.9][kept.length - 2]);
  });
});

test.each([
  [{ temperature: -1 }, "temperature: expected a number from 0 up, found -1"],
  [{ temperature: Number.NaN }, "temperature: expected a number from 0 up, found NaN"],
  [{ topK: 1.5 }, "top-k: expected a whole number from 0 up, found 1.5"],
  [{ topP: 0 }, "top-p: expected a number above 0 and up to 1, found 0"],
  [{ minP: 2 }, "min-p: expected a number from 0 to 1, found 2"],
  [{ repetitionPenalty: 0 }, "repetition-penalty: expected a number above 0, found 0"],
  [{ seed: -3 }, "seed: expected a whole number from 0 to 4294967295, found -3"],
])("refuses %o", (options, message) => {
  expect(() => createSampler(options)).toThrow(message);
});
