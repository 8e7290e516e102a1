import { describe, expect, it } from "vitest";
import { ExitTable } from "../../../src/artifact/exits/table.ts";
import { tinySpec } from "../tiny-source.ts";
import { tinyTable } from "./tiny-exits.ts";

const table = tinyTable(tinySpec(true));
const report = { tokens: 10, outputNll: 2, voteNll: 1.9, differenceError: 0.1 };
const voting = { weights: [0.1, 0.2, 0.7], tokens: 20, report };
const issues = (value: unknown) =>
  (ExitTable.safeParse(value).error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);

describe("an exit table", () => {
  it("may say how its exits vote, and says nothing where nobody asked", () => {
    expect(issues({ ...table, voting })).toEqual([]);
    expect(ExitTable.parse(table)).not.toHaveProperty("voting");
  });

  it("has a weight for each exit and the output head, one above 0", () => {
    const expected = ["voting.weights: expected one for each exit and the output head, not all 0"];
    expect(issues({ ...table, voting: { ...voting, weights: [0.1, 0.9] } })).toEqual(expected);
    expect(issues({ ...table, voting: { ...voting, weights: [0, 0, 0] } })).toEqual(expected);
    expect(issues({ ...table, voting: { ...voting, weights: [-1, 1, 1] } })[0]).toMatch(/^voting\.weights\.0: /);
    expect(issues({ ...table, voting: { ...voting, weight: 1 } })[0]).toMatch(/^voting: .*weight/);
  });

  it("lets the output head serve over the whole vocabulary alone, without a rank", () => {
    const exits = table.exits.map((exit) => ({ ...exit, kind: "shared", rank: null, bytes: 0 }));
    expect(issues({ ...table, exits, vocabulary: "full" })).toEqual([]);
    expect(issues({ ...table, exits })).toEqual(['vocabulary: expected "full" with shared exits']);
    const ranked = exits.map((exit) => ({ ...exit, rank: 4 }));
    expect(issues({ ...table, exits: ranked, vocabulary: "full" })[0]).toMatch(/^exits\.0\.rank: /);
  });
});
