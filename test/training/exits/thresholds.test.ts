import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ExitAnswers, fitCascade, fitThreshold, leaves } from "../../../src/training/exits/thresholds.ts";

const answers = (confidence: number[], agrees: number[], outside: number[] = []): ExitAnswers => ({
  confidence: Float32Array.from(confidence),
  agrees: Uint8Array.from(agrees),
  outside: Uint8Array.from({ length: confidence.length }, (_, i) => outside[i] ?? 0),
});
const all = ({ confidence }: ExitAnswers) => Int32Array.from(confidence, (_, i) => i);
const thresholdOf = (given: ExitAnswers, epsilon: number, metric: "entropy" | "max" | "margin" = "entropy") =>
  fitThreshold(given, all(given), { metric, epsilon });

describe("threshold of an exit", () => {
  it("has the largest coverage with enough agreement", () => {
    const given = answers([0.1, 0.2, 0.3, 0.4, 0.5], [1, 1, 0, 1, 0]);
    expect(thresholdOf(given, 0.75)).toEqual({ threshold: Math.fround(0.4), taken: 4, agreeing: 3 });
    expect(thresholdOf(given, 0.9)).toEqual({ threshold: Math.fround(0.2), taken: 2, agreeing: 2 });
    expect(thresholdOf(given, 0.6)).toEqual({ threshold: Math.fround(0.5), taken: 5, agreeing: 3 });
  });

  it("disables an exit that is nowhere good enough", () => {
    expect(thresholdOf(answers([0.1, 0.2, 0.3, 0.4, 0.5], [0, 1, 1, 1, 1]), 0.99)).toEqual({
      threshold: null,
      taken: 0,
      agreeing: 0,
    });
  });

  it("takes equal confidences together", () => {
    expect(thresholdOf(answers([0.1, 0.1, 0.1], [1, 1, 0]), 0.9).threshold).toBe(null);
    expect(thresholdOf(answers([0.1, 0.1, 0.1], [1, 1, 0]), 0.6).taken).toBe(3);
  });

  it("turns with metrics that are high where they are sure", () => {
    const given = answers([0.9, 0.8, 0.7], [1, 1, 0]);
    expect(thresholdOf(given, 0.9, "max")).toEqual({ threshold: Math.fround(0.8), taken: 2, agreeing: 2 });
  });

  it("leaves out tokens whose answer is outside its vocabulary", () => {
    const given = answers([0.1, 0.2, 0.3], [0, 1, 1], [1, 0, 0]);
    expect(thresholdOf(given, 1)).toEqual({ threshold: Math.fround(0.3), taken: 2, agreeing: 2 });
    expect(leaves(given, 0, "entropy", 1)).toBe(false);
  });
});

describe("thresholds of a cascade", () => {
  const someAnswers = (tokens: number) =>
    fc
      .tuple(
        fc.array(fc.integer({ min: 0, max: 12 }), { minLength: tokens, maxLength: tokens }),
        fc.array(fc.integer({ min: 0, max: 1 }), { minLength: tokens, maxLength: tokens }),
        fc.array(fc.integer({ min: 0, max: 1 }), { minLength: tokens, maxLength: tokens }),
      )
      .map(([confidence, agrees, outside]) => answers(confidence, agrees, outside));
  const exits = fc
    .integer({ min: 1, max: 40 })
    .chain((tokens) => fc.array(someAnswers(tokens), { minLength: 1, maxLength: 4 }));
  const metrics = fc.constantFrom("entropy", "max", "margin");

  it("agree with the full model in epsilon of the tokens that leave, exit by exit and as a whole", () => {
    fc.assert(
      fc.property(exits, fc.double({ min: 0.5, max: 1, noNaN: true }), metrics, (given, epsilon, metric) => {
        const fitted = fitCascade(given, { metric, epsilon });
        const left = new Set<number>();
        for (const [i, { threshold, taken, agreeing }] of fitted.entries()) {
          const here = [...all(given[i])].filter((t) => !left.has(t) && leaves(given[i], t, metric, threshold));
          for (const token of here) left.add(token);
          expect(here.length).toBe(taken);
          expect(here.reduce((sum, token) => sum + given[i].agrees[token], 0)).toBe(agreeing);
          if (taken > 0) expect(agreeing / taken).toBeGreaterThanOrEqual(epsilon);
        }
      }),
    );
  });

  it("of one exit never cover more for a higher epsilon", () => {
    fc.assert(
      fc.property(exits, fc.double({ min: 0.5, max: 0.9, noNaN: true }), metrics, ([one], epsilon, metric) => {
        expect(thresholdOf(one, epsilon + 0.1, metric).taken).toBeLessThanOrEqual(
          thresholdOf(one, epsilon, metric).taken,
        );
      }),
    );
  });
});
