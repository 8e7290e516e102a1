import { describe, expect, it } from "vitest";
import { predictionFit, predictLosses } from "../../../src/scoring/kl/predict-losses.ts";
import { durationText } from "../../../src/scoring/kl/run-estimate.ts";

describe("predictLosses", () => {
  it("scales a unit's errors by the geometric mean of loss over error at its probes", () => {
    const errors = { a: { q2: 16, q3: 4, q4: 1, q8: 0 }, b: { q2: 3, q3: 2, q4: 1, q8: 0.5 } };
    const probes = { a: { q3: 8, q4: 0.5 }, b: { q3: 0.2, q4: 0.1 } };
    const { a, b } = predictLosses({ probes, errors });
    // sqrt(2 x 0.5) = 1, and 0.1 twice
    expect(Object.values(a)).toEqual([16, 4, 1, 0].map((loss) => expect.closeTo(loss, 12)));
    expect(Object.values(b)).toEqual([0.3, 0.2, 0.1, 0.05].map((loss) => expect.closeTo(loss, 12)));
  });

  it("leaves probes out that say nothing, and predicts no loss where all do", () => {
    const errors = { a: { q3: 4, q4: 0, q8: 2 }, b: { q3: 4 }, c: { q3: 1 } };
    const losses = predictLosses({ probes: { a: { q3: 8, q4: 0.1 }, b: { q3: 0 } }, errors });
    expect(losses.a.q8).toBeCloseTo(4, 12);
    expect([losses.b.q3, losses.c.q3]).toEqual([0, 0]);
  });
});

describe("predictLosses by a curve", () => {
  const errors = { a: { q2: 64, q3: 16, between: 8, q4: 4, q8: 0.25, same: 16 }, b: { q3: 4, q2: 8 } };
  const at = (probes: Record<string, number>) => predictLosses({ probes: { a: probes }, errors, form: "curve" }).a;

  it("goes through its probes, straight in logarithms between them, proportional below", () => {
    // From (4, 1) to (16, 2): the loss grows with the root of the error; beyond, with the least power allowed.
    const { q4, q3, between, q8, q2, same } = at({ q4: 1, q3: 2 });
    expect([q4, q3, same]).toEqual([1, 2, 2].map((loss) => expect.closeTo(loss, 12)));
    expect(between).toBeCloseTo(Math.SQRT2, 12);
    expect(q8).toBeCloseTo(1 / 16, 12);
    expect(q2).toBeCloseTo(2 * 4 ** (2 / 3), 12);
    expect(at({ q4: 1, q3: 64 }).q2).toBeCloseTo(64 * 4 ** 1.5, 9);
  });

  it("is proportional with a single probe, and stays finite with two of one error", () => {
    expect(at({ q4: 2 }).q2).toBeCloseTo(32, 12);
    expect(Object.values(at({ q3: 2, same: 3 })).every(Number.isFinite)).toBe(true);
  });

  it("never falls with the error", () => {
    const losses = at({ q4: 1, q3: 2 });
    const byError = Object.entries(errors.a).sort(([, a], [, b]) => a - b);
    byError.forEach(([codec], i) => {
      if (i > 0) expect(losses[codec]).toBeGreaterThanOrEqual(losses[byError[i - 1][0]]);
    });
  });
});

describe("predictionFit", () => {
  it("tells order, median ratio and the factor that holds for nine of ten", () => {
    const measured = Array.from({ length: 11 }, (_, i) => (i + 1) * 1e-5);
    const ratios = [0.25, 0.5, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.2, 1.5, 8];
    const fit = predictionFit(measured.map((loss, i) => ({ measured: loss, predicted: loss * ratios[i] })));
    expect(fit).toMatchObject({ pairs: 11, rankCorrelation: 1, medianRatio: expect.closeTo(1, 12) });
    expect(fit?.factor90).toBeCloseTo(4, 9);
  });

  it("is null without pairs, and counts none at zero", () => {
    expect(predictionFit([])).toBeNull();
    expect(
      predictionFit([
        { measured: 0, predicted: 1 },
        { measured: 1, predicted: 1 },
      ]),
    ).toBeNull();
  });
});

describe("durationText", () => {
  it.each([
    [0.21, "210 ms"],
    [42.3, "42 s"],
    [1440, "24 min"],
    [11_520, "3.2 h"],
  ])("%d s: %s", (seconds, text) => {
    expect(durationText(seconds)).toBe(text);
  });
});
