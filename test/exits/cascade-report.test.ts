import { describe, expect, it } from "vitest";
import { reportCascade } from "../../src/exits/cascade-report.ts";
import type { ExitAnswers } from "../../src/exits/thresholds.ts";

const answers = (confidence: number[], agrees: number[]): ExitAnswers => ({
  confidence: Float32Array.from(confidence),
  agrees: Uint8Array.from(agrees),
  outside: new Uint8Array(confidence.length),
});

describe("report on a cascade", () => {
  const exits = [answers([1, 5, 5, 1], [1, 1, 1, 0]), answers([9, 2, 9, 2], [0, 1, 0, 1])];
  const cascade = { metric: "entropy", blocks: [2, 4], totalBlocks: 8 } as const;

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

  it("runs the whole model where every exit is disabled", () => {
    expect(reportCascade(exits, { ...cascade, thresholds: [null, null] })).toMatchObject({
      coverage: 0,
      agreement: null,
      agreementError: null,
      meanBlocks: 8,
    });
  });
});
