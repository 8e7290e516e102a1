import { describe, expect, it } from "vitest";
import { Random } from "../../../src/tensor/random.ts";
import { calibrateLevels, EPSILONS } from "../../../src/training/exits/calibrate.ts";
import type { ExitAnswers } from "../../../src/training/exits/thresholds.ts";

/** Answers of two exits whose doubt u says how often they are wrong: rightly so in a share of 1 - u of the tokens. */
function answersOf(tokens: number, seed: number): ExitAnswers[] {
  const random = new Random(seed);
  return [1, 0.5].map((factor) => {
    const confidence = Float32Array.from({ length: tokens }, () => factor * random.next());
    const agrees = Uint8Array.from(confidence, (doubt) => (random.next() >= doubt ? 1 : 0));
    return { confidence, agrees, outside: new Uint8Array(tokens) };
  });
}

describe("calibrateLevels", () => {
  it("keeps its promise on text that it has not seen, and leaves later as more is asked for", () => {
    const levels = calibrateLevels(
      { calibrate: answersOf(20000, 1), report: answersOf(15000, 2) },
      { metric: "entropy", epsilons: EPSILONS, points: [8, 16], blocks: 30, texts: new Array<number>(150).fill(100) },
    );
    expect(levels.map(({ epsilon }) => epsilon)).toEqual(EPSILONS);
    for (const { epsilon, report } of levels) {
      expect(report.tokens).toBe(15000);
      expect(report.agreement ?? 0).toBeGreaterThan(epsilon - 3 * (report.agreementError ?? 0) - 0.01);
      expect(report.coverage).toBeGreaterThan(0);
    }
    const coverages = levels.map(({ report }) => report.coverage);
    expect(coverages).toEqual([...coverages].sort((a, b) => b - a));
    const depths = levels.map(({ report }) => report.meanBlocks);
    expect(depths).toEqual([...depths].sort((a, b) => a - b));
  });
});
