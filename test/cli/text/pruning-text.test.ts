import { expect, it } from "vitest";
import { plannedPruningText, pruningText } from "../../../src/cli/text/pruning-text.ts";

it("says what stays of a pruned model, and which share is gone", () => {
  const neurons = { kind: "neurons", slices: 1536 };
  expect(pruningText([1216, 1248].map((kept) => ({ ...neurons, kept })))).toBe(
    "pruned: neurons: 2,464 of 3,072 stay, 19.8 % are gone",
  );
  expect(pruningText([{ ...neurons, kept: 768 }, null, { kind: "mlp", kept: 0, slices: 1 }, null])).toBe(
    "pruned: neurons of 1 of 4 blocks: 768 of 1,536 stay, 50.0 % are gone; " +
      "mlp of 1 of 4 blocks: 0 of 1 stay, 100.0 % are gone",
  );
  expect(pruningText([null])).toBe("pruned: nothing");
});

it("says what a plan that may prune has chosen, with both figures", () => {
  const cut = { kind: "mlp", kept: 0, slices: 1, loss: 0.1 };
  expect(plannedPruningText({ cuts: [null, cut], wholeLoss: 0.5, cutLoss: null })).toBe(
    "pruning: of 1 of 2 blocks: bits alone would lose 0.5 at these bytes",
  );
  expect(plannedPruningText({ cuts: [cut], wholeLoss: null, cutLoss: null })).toMatch(/bits alone do not fit/);
  expect(plannedPruningText({ cuts: [null], wholeLoss: 0.43, cutLoss: 0.52 })).toBe(
    "no pruning: bits alone lose 0.43 at these bytes, with pruning they would lose 0.52",
  );
});
