import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  compareRow,
  expNegative,
  prepareReferenceRow,
  summarizeRow,
} from "../../../src/maths/plain/row-distribution.ts";
import { Random } from "../../../src/tensor/random.ts";

const prepare = (logits: Float32Array) => prepareReferenceRow(logits, new Float32Array(logits.length));
const logits = (probabilities: number[]) => Float32Array.from(probabilities, Math.log);

/** KL of two rows of logits by the definition, in float64. */
function plainDivergence(a: Float32Array, b: Float32Array): number {
  const normalise = (row: Float32Array) => {
    const max = Math.max(...row);
    const total = row.reduce((sum, value) => sum + Math.exp(value - max), 0);
    return Array.from(row, (value) => value - max - Math.log(total));
  };
  const q = normalise(b);
  return normalise(a).reduce((sum, lnP, i) => sum + Math.exp(lnP) * (lnP - q[i]), 0);
}

describe("expNegative", () => {
  it("is e^-x to 1e-13 down to e^-44", () => {
    for (let x = 0; x < 44; x += 0.00731) expect(Math.abs(expNegative(x) / Math.exp(-x) - 1)).toBeLessThan(1e-13);
  });

  it("keeps NaN, and is next to nothing beyond", () => {
    expect(expNegative(Number.NaN)).toBeNaN();
    expect(expNegative(1e9)).toBeLessThan(1e-19);
    expect(expNegative(Number.POSITIVE_INFINITY)).toBeLessThan(1e-19);
  });
});

describe("summarizeRow", () => {
  it("gives log-sum-exp and the first largest id", () => {
    const { logSumExp, argmax } = summarizeRow(Float32Array.from([1, 3, 3, 2]));
    expect(logSumExp).toBeCloseTo(Math.log(Math.exp(1) + 2 * Math.exp(3) + Math.exp(2)), 12);
    expect(argmax).toBe(1);
  });

  it("shows NaN and infinity", () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(summarizeRow(Float32Array.from([1, bad, 2])).logSumExp).toBeNaN();
    }
    expect(summarizeRow(Float32Array.from([1, Number.NEGATIVE_INFINITY])).logSumExp).toBeCloseTo(1, 12);
  });
});

describe("compareRow", () => {
  it("equals a KL divergence computed by hand", () => {
    // 1/2 ln(1/2 / 1/4) + 1/4 ln(1/4 / 1/4) + 1/4 ln(1/4 / 1/2) = 1/4 ln 2
    const { divergence } = compareRow(prepare(logits([0.5, 0.25, 0.25])), logits([0.25, 0.25, 0.5]));
    expect(divergence).toBeCloseTo(Math.LN2 / 4, 7);
  });

  it("is 0 for the same row, and does not see a shift of all logits", () => {
    const row = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i) * 8);
    expect(compareRow(prepare(row), row).divergence).toBe(0);
    const shifted = row.map((value) => value + 4);
    expect(compareRow(prepare(row), shifted).divergence).toBeCloseTo(0, 6);
  });

  it("agrees with the definition on random rows, small divergences included", () => {
    const property = fc.property(fc.nat(), fc.double({ min: 1e-3, max: 3, noNaN: true }), (seed, noise) => {
      const random = new Random(seed);
      const a = Float32Array.from({ length: 500 }, () => random.nextNormal() * 5);
      const b = a.map((value) => value + noise * random.nextNormal());
      const expected = plainDivergence(a, b);
      const { divergence } = compareRow(prepare(a), b);
      // The f32 weights are off by up to 6e-8 each, and weigh log ratios whose mean square is about twice the
      // divergence.
      expect(Math.abs(divergence - expected)).toBeLessThan(6e-8 * Math.sqrt(2 * expected) + 1e-13);
    });
    fc.assert(property, { numRuns: 100 });
  });
});
