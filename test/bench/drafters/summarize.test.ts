import { describe, expect, test } from "vitest";
import type { DraftCosts } from "../../../src/bench/drafters/cost-model.ts";
import { draftersCsv } from "../../../src/bench/drafters/csv.ts";
import type { DrafterRun } from "../../../src/bench/drafters/measure.ts";
import { draftersPicture } from "../../../src/bench/drafters/picture.ts";
import { DrafterComparison, DrafterRow } from "../../../src/bench/drafters/result.ts";
import { drafterSetups } from "../../../src/bench/drafters/setups.ts";
import { compareRows, summarizeDrafters } from "../../../src/bench/drafters/summarize.ts";
import type { ExitSet } from "../../../src/decoding/exits/exit-set.ts";
import { smallSpec } from "../../runtime/random-model.ts";

const BLOCKS = 6;
const EXITS: ExitSet = {
  exits: [{ blocks: 2, head: "exit.2" }],
  ids: null,
  confidence: "max",
  levels: [{ epsilon: 0.8, thresholds: [0.5] }],
};
const COSTS: DraftCosts = {
  position: 10,
  plainMs: 30,
  stages: [[{ rows: 1, ms: 10 }], [{ rows: 1, ms: 20 }]],
  exits: [{ blocks: 2, headMs: 0 }],
};

/** A text of tokens 0, 1, …, of which so many came from the exit. */
function run(tokens: number, ms: number, early = 0, wasted = 0): DrafterRun {
  const depths = [
    { blocks: 2, tokens: early },
    { blocks: BLOCKS, tokens: tokens - early },
  ].filter((one) => one.tokens > 0);
  return {
    ids: Array.from({ length: tokens }, (_, id) => id),
    generateMs: ms,
    decoding: {
      ...{ kind: "dssd", depths, drafted: early + wasted, accepted: early, wasted, sharedPasses: 1, plainRounds: 0 },
    },
  };
}

const [fixed, dssd] = await drafterSetups(EXITS, smallSpec({ blocks: BLOCKS }), {
  draftLengths: [4],
  epsilons: null,
  draftLimits: [8],
});
const PLAIN = [run(21, 600), run(11, 300)];
const MEASURED = [
  { setup: fixed, pairs: [run(21, 500, 10, 30), run(11, 300, 5, 15)].map((one, i) => ({ run: one, plain: PLAIN[i] })) },
  { setup: dssd, pairs: [run(21, 300, 15, 5), run(11, 200, 6, 2)].map((one, i) => ({ run: one, plain: PLAIN[i] })) },
];

describe("summarizeDrafters", () => {
  const rows = summarizeDrafters(MEASURED, COSTS, BLOCKS);

  test("adds the texts up, plain decoding first", () => {
    expect(rows.map((row) => DrafterRow.parse(row).kind)).toEqual(["plain", "fixed", "dssd"]);
    expect(rows[0]).toMatchObject({
      tokens: 32,
      drafted: 0,
      rounds: 30,
      plainRounds: 30,
      wastedShare: null,
      meanBlocks: BLOCKS,
    });
    expect(rows[0]).toMatchObject({ ratio: { median: 1, repeats: 2 }, predicted: null, exact: true });
    expect(rows[2]).toMatchObject({
      ...{ tokens: 32, drafted: 28, accepted: 21, wasted: 7, rounds: 9, plainRounds: 0, wastedShare: 0.25 },
      acceptedPerRound: expect.closeTo(21 / 9, 9),
      acceptedPerToken: 21 / 32,
      wastedPerToken: 7 / 32,
      meanBlocks: (21 * 2 + 11 * BLOCKS) / 32,
    });
  });

  test("speeds are those of tokens after the first, ratios prompt by prompt", () => {
    expect(rows[2].tokensPerSecond).toMatchObject({ median: expect.closeTo((20 / 0.3 + 10 / 0.2) / 2, 9) });
    expect(rows[2].ratio).toMatchObject({ median: expect.closeTo(1.75, 9), min: expect.closeTo(1.5, 9) });
    // 9 rounds of 28 / 9 drafts: 28 + 9 times the lower stage, 9 times the upper one.
    expect(rows[2].predicted?.ratio).toBeCloseTo((30 * 30) / (37 * 10 + 9 * 20), 9);
  });

  test("notices a text that differs, and leaves texts of one token out of the speeds", () => {
    const other = { ...run(21, 500), ids: [7, ...run(20, 0).ids] };
    const [, row] = summarizeDrafters([{ setup: dssd, pairs: [{ run: other, plain: PLAIN[0] }] }], COSTS, BLOCKS);
    expect(row.exact).toBe(false);
    const [, short] = summarizeDrafters(
      [{ setup: dssd, pairs: [{ run: run(1, 0), plain: run(1, 0) }] }],
      COSTS,
      BLOCKS,
    );
    expect(short).toMatchObject({ tokensPerSecond: null, ratio: null, exact: true, predicted: null });
  });

  test("compares each DSSD row with the fixed ones, by both rates", () => {
    const comparisons = compareRows(rows).map((one) => DrafterComparison.parse(one));
    expect(comparisons.map(({ name, rate, best }) => [name, rate, best])).toEqual([
      [dssd.name, "ofDrafts", null],
      [dssd.name, "ofTokens", null],
    ]);
    expect(compareRows(rows.filter(({ kind }) => kind !== "fixed"))).toEqual([]);
  });

  test("the table has a line a row, and nothing where there is nothing", () => {
    const [head, plain, , last] = draftersCsv(rows).split("\n");
    expect(head.split(",").slice(0, 5)).toEqual(["kind", "name", "exit", "epsilon", "draft_limit"]);
    expect(plain).toMatch(/^plain,plain,,,,32,0,0,0,30,30,0,,0,0,6,/);
    expect(last).toMatch(/^dssd,"DSSD 0.8, up to 8",,0.8,8,32,28,21,7,9,0,/);
    expect(draftersCsv(rows).endsWith("\n")).toBe(true);
  });

  test("the picture has a point for each row with drafts, up where more are taken, right where more are wasted", async () => {
    const svg = await draftersPicture(rows);
    const points = [...svg.matchAll(/<circle r="3.5" cy="([\d.]+)" cx="([\d.]+)"><title>([^<]*)/g)];
    expect(points.map(([, , , name]) => name)).toEqual([fixed.name, dssd.name]);
    const [[, fixedY, fixedX], [, dssdY, dssdX]] = points;
    expect(Number(dssdX)).toBeLessThan(Number(fixedX));
    expect(Number(dssdY)).toBeLessThan(Number(fixedY));
    expect(svg).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
    expect(svg).not.toContain("NaN");
  });
});
