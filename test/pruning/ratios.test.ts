import { describe, expect, it } from "vitest";
import { aboveMean } from "../../src/planning/allocators/luc.ts";
import { lucRatios, meanErrors } from "../../src/pruning/ratios.ts";
import { Random } from "../../src/tensor/random.ts";

/** LLaMA-7B: mean MSE of each layer, of EDGE-LLM's published files. The last file holds zeros only. */
const LLAMA_ERRORS = [
  ...[0.0003278, 0.0005447, 0.0007381, 0.001221, 0.002189, 0.003014, 0.004121, 0.005372, 0.006237, 0.007262],
  ...[0.008765, 0.01106, 0.01325, 0.01594, 0.01818, 0.02253, 0.03013, 0.03802, 0.04243, 0.04801, 0.05599],
  ...[0.05778, 0.06042, 0.06178, 0.06399, 0.06761, 0.07484, 0.08193, 0.1018, 0.1442, 0.4983, 0],
];

/** What the rule makes of them at a mean of .5. */
const LLAMA_RATIOS = [
  ...[0.5534, 0.5531, 0.5529, 0.5524, 0.5513, 0.5504, 0.5492, 0.5478, 0.5468, 0.5457, 0.544, 0.5415, 0.539, 0.536],
  ...[0.5336, 0.5287, 0.5203, 0.5115, 0.5066, 0.5004, 0.4915, 0.4895, 0.4866, 0.4851, 0.4826, 0.4786, 0.4706],
  ...[0.4627, 0.4407, 0.3935, 0, 0.5538],
];

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe("lucRatios", () => {
  it("gives the published errors of LLaMA-7B the ratios of the paper's code", () => {
    const ratios = lucRatios(LLAMA_ERRORS, 0.5);
    for (const [layer, ratio] of ratios.entries()) expect(Math.abs(ratio - LLAMA_RATIOS[layer])).toBeLessThan(1e-3);
    expect(mean(ratios)).toBeCloseTo(0.5, 12);
    expect(ratios[30]).toBe(0);
    const most = Math.max(...LLAMA_ERRORS);
    expect(mean(LLAMA_ERRORS.map((error) => 1 - error / most))).toBeCloseTo(0.9029, 4);
  });

  it("clamps from where the largest would be above the bound, and hands the excess on", () => {
    expect(Math.max(...lucRatios(LLAMA_ERRORS, 0.9))).toBeCloseTo(0.9968, 4);
    const clamped = lucRatios(LLAMA_ERRORS, 0.95);
    expect(clamped.filter((ratio) => ratio === 1).length).toBeGreaterThan(20);
    expect(mean(clamped)).toBeCloseTo(0.95, 12);
    expect(Math.max(...lucRatios(LLAMA_ERRORS, 0.95, 2))).toBeCloseTo(1.0521, 4);
  });

  it("never leaves [0, most], has the target as its mean, and takes no more where the error is larger", () => {
    const random = new Random(3);
    for (let run = 0; run < 300; run++) {
      const errors = Array.from({ length: 1 + random.nextInt(12) }, () => Math.exp(4 * random.nextNormal()));
      const most = 0.2 + 0.8 * random.next();
      const target = most * random.next();
      const ratios = lucRatios(errors, target, most);
      expect(mean(ratios)).toBeCloseTo(target, 10);
      expect(Math.min(...ratios)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...ratios)).toBeLessThanOrEqual(most);
      const order = [...errors.keys()].sort((a, b) => errors[a] - errors[b]);
      for (let i = 1; i < order.length; i++) {
        expect(ratios[order[i]]).toBeLessThanOrEqual(ratios[order[i - 1]] + 1e-12);
      }
    }
  });

  it("gives equal errors equal ratios, and to all the bound where that is the target", () => {
    expect(lucRatios([2, 2, 2], 0.25)).toEqual([0.25, 0.25, 0.25]);
    expect(lucRatios([1, 9, 5], 1)).toEqual([1, 1, 1]);
    expect(lucRatios([1, 9], 0)).toEqual([0, 0]);
  });

  it("gives more bits to the layers of above-mean sensitivity of the same errors: 20 to 30", () => {
    expect(aboveMean(LLAMA_ERRORS).flatMap((high, layer) => (high ? [layer] : []))).toEqual([
      20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
    ]);
  });
});

describe("meanErrors", () => {
  it("is the mean over the ratios", () => {
    expect(meanErrors([[1, 3], [0, 4]])).toEqual([2, 2]); // biome-ignore format: a row a block
  });

  it("refuses, by the block's number, what is no measurement", () => {
    const of =
      (...last: number[]) =>
      () =>
        meanErrors([[1, 2], last]);
    expect(of(0, 0)).toThrow(/block 1: expected an error above 0 at some ratio, found none/);
    expect(of(1, Number.NaN)).toThrow(/block 1: expected finite errors of 0 or more, found NaN/);
    expect(of(-1, 2)).toThrow(/found -1/);
    expect(of(Number.POSITIVE_INFINITY, 2)).toThrow(/found Infinity/);
  });
});
