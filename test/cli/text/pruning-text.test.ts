import { expect, it } from "vitest";
import { pruningText } from "../../../src/cli/text/pruning-text.ts";

it("says what stays of a pruned model, and which share is gone", () => {
  expect(pruningText({ kind: "neurons", kept: [1216, 1248], slices: [1536, 1536] })).toBe(
    "pruned: neurons: 2,464 of 3,072 stay, 19.8 % are gone",
  );
  expect(pruningText({ kind: "heads", kept: [2, 0], slices: [2, 0] })).toBe(
    "pruned: heads: 2 of 2 stay, 0.0 % are gone",
  );
});
