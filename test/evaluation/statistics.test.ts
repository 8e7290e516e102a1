import { describe, expect, it } from "vitest";
import { summarizeDivergence } from "../../src/evaluation/divergence.ts";
import { summarizePerplexity } from "../../src/evaluation/perplexity.ts";
import { rankCorrelation, ranks } from "../../src/evaluation/rank-correlation.ts";
import { meanWithError, quantiles } from "../../src/evaluation/statistics.ts";

describe("meanWithError", () => {
  it("gives the mean and sd / sqrt n", () => {
    // 2, 4, 9: mean 5, sample variance (9 + 1 + 16) / 2 = 13
    const { mean, error } = meanWithError(Float64Array.of(2, 4, 9));
    expect(mean).toBe(5);
    expect(error).toBeCloseTo(Math.sqrt(13 / 3), 12);
    expect(meanWithError(Float64Array.of(7))).toEqual({ mean: 7, error: 0 });
    expect(() => meanWithError(new Float64Array(0))).toThrow("no values");
  });
});

describe("quantiles", () => {
  it("interpolates between neighbours of the sorted values", () => {
    expect(quantiles(Float64Array.of(4, 1, 3, 2), [0, 0.5, 0.9, 1])).toEqual([1, 2.5, 3.7, 4]);
    expect(quantiles(Float64Array.of(5), [0.5, 0.99])).toEqual([5, 5]);
  });
});

describe("summarizePerplexity", () => {
  it("carries the error of the mean through the exponential", () => {
    const result = summarizePerplexity(Float64Array.of(Math.log(2), Math.log(8)));
    expect(result.perplexity).toBeCloseTo(4, 12);
    expect(result.meanNllError).toBeCloseTo(Math.LN2, 12);
    expect(result.perplexityError).toBeCloseTo(4 * Math.LN2, 12);
  });
});

describe("summarizeDivergence", () => {
  it("gives mean, quantiles and agreement with their errors", () => {
    const result = summarizeDivergence(Float64Array.of(0, 0.1, 0.2, 0.3, 0.4), { top1: 3, top5: 4 });
    expect(result.mean).toBeCloseTo(0.2, 12);
    expect(result.median).toBeCloseTo(0.2, 12);
    expect(result.p90).toBeCloseTo(0.36, 12);
    expect(result.max).toBe(0.4);
    expect(result.top1Agreement).toBe(0.6);
    expect(result.top5Agreement).toBe(0.8);
    expect(result.top1AgreementError).toBeCloseTo(Math.sqrt((0.6 * 0.4) / 4), 12);
    expect(result.top5AgreementError).toBeCloseTo(Math.sqrt((0.8 * 0.2) / 4), 12);
  });
});

describe("rankCorrelation", () => {
  it("sees order only", () => {
    expect(rankCorrelation([1, 2, 3, 4], [10, 20, 25, 1000])).toBe(1);
    expect(rankCorrelation([1, 2, 3, 4], [9, 7, 5, -3])).toBe(-1);
  });

  it("equals 1 - 6 sum d^2 / (n (n^2 - 1)) without ties", () => {
    // ranks 1 2 3 4 5 and 2 1 4 3 5: sum d^2 = 4
    expect(rankCorrelation([1, 2, 3, 4, 5], [2, 1, 4, 3, 5])).toBeCloseTo(1 - (6 * 4) / (5 * 24), 12);
  });

  it("gives ties their mean rank", () => {
    expect(Array.from(ranks([5, 1, 5, 3]))).toEqual([3.5, 1, 3.5, 2]);
  });

  it("is NaN for a constant and refuses what cannot be compared", () => {
    expect(rankCorrelation([1, 1, 1], [1, 2, 3])).toBeNaN();
    expect(() => rankCorrelation([1], [1])).toThrow("equal length");
    expect(() => rankCorrelation([1, 2], [1, 2, 3])).toThrow("equal length");
  });
});
