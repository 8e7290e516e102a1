import { describe, expect, test } from "vitest";
import { type DraftCosts, type DraftUse, predictSpeed, stageMs } from "../../../src/bench/drafters/cost-model.ts";

/** Three stages of 10, 10 and 20 ms a row, further rows at a tenth; heads of 2 and 3 ms. */
const stage = (ms: number) => [
  { rows: 1, ms },
  { rows: 11, ms: 2 * ms },
];
const COSTS: DraftCosts = {
  position: 64,
  plainMs: 40,
  stages: [stage(10), stage(10), stage(20)],
  exits: [
    { blocks: 4, headMs: 2 },
    { blocks: 8, headMs: 3 },
  ],
};
/** Rounds of four drafts by the first exit, all taken. */
const FIXED: DraftUse = {
  ...{ tokens: 50, rounds: 10, plainRounds: 0, drafted: 40, accepted: 40 },
  ...{ exitShares: [1, 0], asked: [true, false], endsUnsure: false },
};

describe("predictSpeed", () => {
  test("adds up the calls of a fixed exit's round", () => {
    // Stage 0: five calls of one row; stages 1 and 2: one call of five rows, 1.4 times a row's.
    const round = { drafts: 40, heads: 8, top: 10 + 14 + 28 };
    const time = round.drafts + round.heads + round.top;
    const found = predictSpeed(COSTS, FIXED);
    expect(found?.ratio).toBeCloseTo((5 * 40) / time, 9);
    expect(found?.shares).toEqual({
      drafts: expect.closeTo(40 / time, 9),
      heads: expect.closeTo(0.08, 9),
      top: expect.closeTo(0.52, 9),
      plain: 0,
    });
    expect(found?.without).toEqual({
      waste: expect.closeTo(2, 9),
      heads: expect.closeTo(200 / 92, 9),
      drafts: expect.closeTo(200 / 60, 9),
      rows: expect.closeTo(200 / 88, 9),
    });
    expect(found?.bound).toBe("drafts");
  });

  test("wasted drafts cost the same and give less; that is then what bounds", () => {
    const found = predictSpeed(COSTS, { ...FIXED, tokens: 20, accepted: 10 });
    expect(found?.ratio).toBeCloseTo(0.8, 9);
    expect(found?.without.waste).toBeCloseTo(2, 9);
    expect(found?.bound).toBe("waste");
  });

  test("counts drafts by the exit they left at, and the heads asked on the way and in vain", () => {
    // Two drafts a round, one by each exit: three calls of stage 0, two of stage 1 with 1.5 rows each, one of stage 2
    // with three.
    const use = { ...FIXED, tokens: 30, drafted: 20, accepted: 20, exitShares: [0.5, 0.5], asked: [true, true] };
    const calls = { drafts: 20 + 10.5, top: 10 + 10.5 + 24 };
    const heads = 2 * 3 + 3 * 2;
    const found = predictSpeed(COSTS, { ...use, endsUnsure: true });
    expect(found?.ratio).toBeCloseTo((3 * 40) / (calls.drafts + calls.top + heads), 9);
    const withoutVain = predictSpeed(COSTS, use);
    expect(withoutVain?.ratio).toBeCloseTo((3 * 40) / (calls.drafts + calls.top + heads - 5), 9);
  });

  test("plain rounds cost a plain token; without drafts nothing is gained, without tokens nothing said", () => {
    const use = { ...FIXED, tokens: 10, plainRounds: 10, drafted: 0, accepted: 0, endsUnsure: true };
    expect(predictSpeed(COSTS, use)).toMatchObject({ ratio: 1, shares: { plain: 1 } });
    expect(predictSpeed(COSTS, { ...use, plainRounds: 0 })?.ratio).toBeCloseTo(40 / 42, 9);
    expect(predictSpeed(COSTS, { ...use, tokens: 0, rounds: 0, plainRounds: 0 })).toBeNull();
  });
});

test("stageMs interpolates between what was measured and goes on beyond it", () => {
  expect([0.5, 1, 6, 11, 21].map((rows) => stageMs(stage(10), rows))).toEqual([10, 10, 15, 20, 30]);
  expect(stageMs([{ rows: 1, ms: 7 }], 9)).toBe(7);
});
