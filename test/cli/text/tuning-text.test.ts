import pc from "picocolors";
import { expect, it } from "vitest";
import { tuningText } from "../../../src/cli/text/tuning-text.ts";
import type { TuneReport } from "../../../src/pipeline/tune.ts";
import { TuneSettings } from "../../../src/training/tuning/settings.ts";

const report = (after: number, exit: TuneSettings["exit"]): TuneReport => ({
  ...{ adapter: "out/adapter", merged: null, settings: TuneSettings.parse({ exit }), turns: [] },
  windows: [
    { from: 0, to: 4 },
    { from: 4, to: 8 },
  ],
  took: { steps: 10, ms: 25_000 },
  examples: { train: 90, heldOut: 5, heldOutTokens: 2560 },
  losses: [
    { blocks: 4, before: 6, after: 4 },
    { blocks: 8, before: 3, after },
  ],
});
const textOf = (after: number, exit: TuneSettings["exit"] = "last") =>
  tuningText(report(after, exit), pc.createColors(false));

it("perplexity at the windows' ends, before and after", () => {
  expect(textOf(2.5).split("\n")).toEqual([
    "held-out perplexity  before  after",
    "after 4 blocks        403.4   54.6",
    "the model             20.09  12.18",
    "",
    "2,560 held-out tokens; 10 steps, 3 s a step",
    "adapter: out/adapter",
  ]);
});

it("says what to do where the model itself has become worse", () => {
  expect(textOf(3.1)).toContain("the model's own perplexity has risen");
  expect(textOf(3.1)).toContain("--steps");
  expect(textOf(3.1, "window")).toContain("--first-block");
});
