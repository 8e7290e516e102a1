import { describe, expect, test } from "vitest";
import { isConfident } from "../../../src/artifact/exits/table.ts";
import { askedExits, drafterSetups } from "../../../src/bench/drafters/setups.ts";
import { fixedExit } from "../../../src/decoding/drafters/dssd/variants.ts";
import type { ExitSet } from "../../../src/decoding/exits/exit-set.ts";
import { smallSpec } from "../../runtime/random-model.ts";

const SPEC = smallSpec({ blocks: 8 });

const EXITS: ExitSet = {
  exits: [
    { blocks: 2, head: "exit.2" },
    { blocks: 5, head: "exit.5" },
  ],
  ids: null,
  confidence: "entropy",
  levels: [
    { epsilon: 0.6, thresholds: [2, 3] },
    { epsilon: 0.9, thresholds: [null, 1] },
  ],
};

describe("drafterSetups", () => {
  test("sweeps every exit by length, every level by limit, and adapts once from what promises most, or else from the level next to 0.8", async () => {
    const setups = await drafterSetups(EXITS, SPEC);
    expect(setups.filter(({ kind }) => kind === "fixed").map(({ exit, draftLimit }) => [exit, draftLimit])).toEqual(
      [2, 5].flatMap((exit) => [1, 2, 4, 6, 8, 12].map((length) => [exit, length])),
    );
    expect(
      setups.filter(({ kind }) => kind === "dssd").map(({ epsilon, draftLimit }) => [epsilon, draftLimit]),
    ).toEqual([0.6, 0.9].flatMap((epsilon) => [4, 8, 16].map((limit) => [epsilon, limit])));
    const adaptive = setups.filter(({ kind }) => kind === "adaptive");
    expect(adaptive).toMatchObject([{ epsilon: 0.9, decode: { kind: "dssd", adapt: true } }]);
    expect(new Set(setups.map(({ name }) => name)).size).toBe(setups.length);
    const report = (coverage: number) => ({
      exits: EXITS.exits.map(() => ({ coverage, agreement: coverage === 0 ? null : 0.95 })),
    });
    const levels = EXITS.levels.map((level, i) => ({ ...level, report: report(i === 0 ? 0.4 : 0.01) }));
    const reported = (await drafterSetups({ ...EXITS, levels }, SPEC)).at(-1);
    expect(reported).toMatchObject({ kind: "adaptive", epsilon: 0.6 });
    expect((await drafterSetups({ ...EXITS, levels }, SPEC)).at(-2)).toMatchObject({
      kind: "dssd",
      epsilon: 0.6,
    });
  });

  test("leaves out what is not wanted", async () => {
    const none = await drafterSetups(EXITS, SPEC, { draftLengths: [], epsilons: null, draftLimits: [] });
    expect(none).toEqual([]);
    const one = await drafterSetups(EXITS, SPEC, { draftLengths: [3], epsilons: [], draftLimits: [4] });
    expect(one.map(({ name }) => name)).toEqual(["exit 2, 3 drafts", "exit 5, 3 drafts"]);
  });

  test("knows which exits each asks", async () => {
    const setups = await drafterSetups(EXITS, SPEC, { draftLengths: [1], epsilons: null, draftLimits: [4] });
    expect(setups.map(askedExits)).toEqual([
      [true, false],
      [false, true],
      [true, true],
      [false, true],
      [true, true],
    ]);
  });
});

test.each(["entropy", "max", "margin"] as const)(
  "a fixed exit is sure by %s whatever its answer, no other ever",
  (confidence) => {
    const { levels } = fixedExit({ ...EXITS, confidence }, 1);
    expect(levels).toHaveLength(1);
    for (const value of [0, 1e-9, 0.5, 1, 50]) {
      expect(levels[0].thresholds.map((threshold) => isConfident(confidence, value, threshold))).toEqual([false, true]);
    }
  },
);
