import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findOverlap, OVERLAP_WORDS } from "../../src/evaluation/overlap.ts";

const words = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `w${from + i}`).join(" ");

describe("findOverlap", () => {
  it("finds runs of 13 words, whatever their case and punctuation", () => {
    const evaluation = `Before. ${words(0, 15)} after`;
    const calibration = `Elsewhere, ${words(0, 14).toUpperCase().replaceAll(" ", ",\n")}; more`;
    const found = findOverlap([evaluation], [calibration]);
    expect(found).toEqual({ words: 13, runs: 5, shared: 2, example: words(0, 13) });
  });

  it("finds nothing where 12 words are shared, or 13 over the border of two texts", () => {
    expect(findOverlap([words(0, 30)], [words(5, 17)])).toMatchObject({ runs: 18, shared: 0, example: null });
    expect(findOverlap([words(0, 30)], [words(5, 12), words(12, 20)]).shared).toBe(0);
    expect(findOverlap([words(0, 7), words(7, 20)], [words(0, 20)])).toMatchObject({ runs: 1, shared: 1 });
  });

  it("counts every place of the evaluation once, however often the calibration repeats it", () => {
    const twice = `${words(0, 13)} x ${words(0, 13)}`;
    expect(findOverlap([twice], [words(0, 13), words(0, 13)]).shared).toBe(2);
  });

  it("agrees with comparing every pair of runs", () => {
    const texts = fc.array(fc.array(fc.constantFrom("a", "b"), { maxLength: 30 }), { maxLength: 3 });
    const runsOf = (all: string[][]) =>
      all.flatMap((one) =>
        one
          .slice(0, Math.max(0, one.length - OVERLAP_WORDS + 1))
          .map((_, i) => one.slice(i, i + OVERLAP_WORDS).join(" ")),
      );
    const property = fc.property(texts, texts, (evaluation, calibration) => {
      const known = new Set(runsOf(calibration));
      const found = findOverlap(
        evaluation.map((one) => one.join(" ")),
        calibration.map((one) => one.join(" ")),
      );
      expect(found.shared).toBe(runsOf(evaluation).filter((run) => known.has(run)).length);
      expect(found.runs).toBe(runsOf(evaluation).length);
    });
    fc.assert(property);
  });
});
