import { describe, expect, it } from "vitest";
import { Random } from "../../../src/tensor/random.ts";
import { reportCascade } from "../../../src/training/exits/cascade-report.ts";
import type { ExitAnswers } from "../../../src/training/exits/thresholds.ts";

const answers = (confidence: number[], agrees: number[]): ExitAnswers => ({
  confidence: Float32Array.from(confidence),
  agrees: Uint8Array.from(agrees),
  outside: new Uint8Array(confidence.length),
});

describe("report on a cascade", () => {
  const exits = [answers([1, 5, 5, 1], [1, 1, 1, 0]), answers([9, 2, 9, 2], [0, 1, 0, 1])];
  const cascade = { metric: "entropy", blocks: [2, 4], totalBlocks: 8, texts: [4] } as const;

  it("counts each token where it leaves first", () => {
    expect(reportCascade(exits, { ...cascade, thresholds: [1, 2] })).toEqual({
      tokens: 4,
      coverage: 0.75,
      agreement: 2 / 3,
      agreementError: Math.sqrt(2 / 9 / 3),
      meanBlocks: (2 + 4 + 8 + 2) / 4,
      exits: [
        { coverage: 0.5, agreement: 0.5 },
        { coverage: 0.25, agreement: 1 },
      ],
    });
  });

  it("takes its error from the differences between texts", () => {
    const error = (texts: number[]) => reportCascade(exits, { ...cascade, thresholds: [1, 2], texts }).agreementError;
    // Two leave the first text, both rightly; one leaves the second, wrongly.
    expect(error([2, 2])).toBeCloseTo(Math.sqrt(2 * ((2 - (2 * 2) / 3) ** 2 + (0 - 2 / 3) ** 2)) / 3, 12);
    // A text that nothing leaves from says nothing.
    expect(error([2, 1, 1])).toBe(error([2, 2]));
  });

  it("is the error of independent tokens where each text is a token", () => {
    const random = new Random(5);
    const n = 2000;
    const many = [
      answers(
        new Array<number>(n).fill(1),
        Array.from({ length: n }, () => (random.next() < 0.8 ? 1 : 0)),
      ),
    ];
    const alone = { metric: "entropy", blocks: [2], totalBlocks: 8, thresholds: [1] } as const;
    const { agreement, agreementError } = reportCascade(many, { ...alone, texts: new Array<number>(n).fill(1) });
    const share = agreement ?? 0;
    expect(agreementError).toBeCloseTo(Math.sqrt((share * (1 - share)) / (n - 1)), 10);
  });

  it("runs the whole model where every exit is disabled", () => {
    expect(reportCascade(exits, { ...cascade, thresholds: [null, null] })).toMatchObject({
      coverage: 0,
      agreement: null,
      agreementError: null,
      meanBlocks: 8,
    });
  });
});
