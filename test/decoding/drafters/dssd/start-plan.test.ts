import { describe, expect, it } from "vitest";
import { expectedPlan } from "../../../../src/decoding/drafters/dssd/start-plan.ts";
import type { ExitSet, ExitThresholds } from "../../../../src/decoding/exits/exit-set.ts";
import { smallSpec } from "../../../runtime/random-model.ts";

const SPEC = smallSpec({ blocks: 12, hiddenSize: 64 });

/** Exits after blocks 3 and 9, with levels of [coverage, agreement] an exit; coverage null: not asked. */
function exitsWith(...levels: [number | null, number][][]): ExitSet {
  return {
    exits: [3, 9].map((blocks) => ({ blocks, head: `exit.${blocks}` })),
    ids: new Int32Array(4),
    confidence: "entropy",
    levels: levels.map((exits, i): ExitThresholds => {
      return {
        epsilon: 0.6 + i / 10,
        thresholds: exits.map(([coverage]) => (coverage === null ? null : 1)),
        report: { exits: exits.map(([coverage, agreement]) => ({ coverage: coverage ?? 0, agreement })) },
      };
    }),
  };
}

describe("the plan that DSSD starts with", () => {
  it("is unknown without a report, or where no exit ever leaves", () => {
    const set = exitsWith([[0.5, 1]]);
    expect(expectedPlan({ ...set, levels: [{ epsilon: 0.8, thresholds: [1, 1] }] }, SPEC)).toBeNull();
    const never: [number | null, number][] = [
      [null, 0],
      [0, 0],
    ];
    expect(expectedPlan(exitsWith(never), SPEC)).toBeNull();
  });

  it("drafts long where an early exit answers nearly all tokens rightly", () => {
    const found = expectedPlan(
      exitsWith([
        [0.95, 0.99],
        [0, 1],
      ]),
      SPEC,
    );
    expect(found?.plan).toMatchObject({ firstExit: 0, draftLimit: 8 });
    expect(found?.ratio).toBeGreaterThan(1.5);
  });

  it("leaves out an early exit that hardly ever answers, and drafts few where drafts are often wrong", () => {
    const late = expectedPlan(
      exitsWith([
        [0.01, 1],
        [0.6, 1],
      ]),
      SPEC,
    );
    expect(late?.plan.firstExit).toBe(1);
    const wrong = expectedPlan(
      exitsWith([
        [0, 0],
        [0.9, 0.3],
      ]),
      SPEC,
    );
    expect(wrong?.plan.draftLimit).toBe(1);
    expect(wrong?.ratio).toBeLessThan(1);
  });

  it("is of the fastest level, or of the one asked for, and keeps to a limit", () => {
    const set = exitsWith(
      [
        [0.9, 0.2],
        [0.05, 0.5],
      ],
      [
        [0.6, 0.95],
        [0.1, 0.95],
      ],
      [
        [0.05, 1],
        [0.05, 1],
      ],
    );
    expect(expectedPlan(set, SPEC)?.plan.level).toBe(1);
    expect(expectedPlan(set, SPEC, { level: 2 })?.plan.level).toBe(2);
    expect(expectedPlan(set, SPEC, { draftLimit: 3 })?.plan.draftLimit).toBe(3);
    const ratio = (level: number) => expectedPlan(set, SPEC, { level })?.ratio ?? Number.NaN;
    expect(ratio(1)).toBeGreaterThan(Math.max(ratio(0), ratio(2)));
  });
});
