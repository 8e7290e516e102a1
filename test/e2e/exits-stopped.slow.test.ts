import { describe, it } from "vitest";
import type { Progress } from "../../src/progress.ts";
import { withFolder } from "./command.ts";
import { expectSameAfterStop, stepsOf } from "./exits-run.ts";

const MOMENTS: readonly (readonly [string, (progress: Progress) => boolean])[] = [
  ["its text is chosen", ({ stage }) => stage === "calibration"],
  ["states are collected", ({ stage }) => stage === "exit states (train)"],
  ["training begins", ({ stage, done }) => stage === "training exits" && done === 0],
  ["training ends", ({ stage, done, total }) => stage === "training exits" && done === total],
  ["the last states are there", ({ stage }) => stage === "exit states (report)"],
];

describe("compress with exits, stopped", () => {
  it.each(MOMENTS)("where %s, and run again gives the same bytes", (_, isMoment) =>
    withFolder(async (out) => {
      await stepsOf(out);
      await expectSameAfterStop(out, isMoment);
    }),
  );
});
