import { describe, expect, it } from "vitest";
import { checkExitTexts, checkRequest } from "../../src/pipeline/check-request.ts";
import { parseRecipe } from "../../src/pipeline/recipe.ts";
import { smolSpec } from "../planning/example-spec.ts";

const AUTO =
  "prune: { kind: [neurons, block], ratio: auto }\nscore: { scorer: kl }\nplan: { allocator: optimal, codecs: [q4s-g32] }";
const CALIBRATION = [{ path: "a.txt", tokens: 4096 }];

/** Checks a recipe by its own lines, against a budget where one is given. */
function check(lines: string, budgetBytes: number | null = null): void {
  const recipe = parseRecipe(`name: x\ncalibration: { sources: [{ path: a.txt, tokens: 4096 }] }\n${lines}`, "x.yaml");
  const asked = { kvType: "f16" as const, kvAsked: null };
  const request = { spec: smolSpec(), recipe, contextTokens: 128, storedDtype: "BF16", ...asked };
  checkRequest({ recipe, calibration: CALIBRATION }, request, budgetBytes);
}

describe("a request", () => {
  it("is accepted where it can work, and asked for no budget where none is wanted", () => {
    expect(() => check("", 2 ** 30)).not.toThrow();
    expect(() => check("")).not.toThrow();
  });

  it.each([
    ["BUDGET_TOO_SMALL", "", 2 ** 20],
    ["PRUNE_RATIO", "prune: { kind: heads, ratio: 0.7 }", null],
    ["PRUNE_RATIO", "prune: { kind: neurons, ratio: 0.99 }", null],
    ["BUDGET_TOO_SMALL", "prune: { kind: neurons, ratio: 0.5 }", 2 ** 20],
    ["BUDGET_TOO_SMALL", AUTO, 2 ** 20],
    ["RULE_MATCHES_NOTHING", "plan: { rules: { 'blocks.99.*': exclude } }", null],
    ["EXIT_TOKENS", "exits: { tokens: 2000 }", null],
    [
      "SCORER_OPTIONS",
      "score: { scorer: kl, options: { unit: matrix, probes: [q2s-g32] } }\n" +
        "plan: { allocator: optimal, codecs: [q4s-g32, q3s-g32] }\nquantize: { quantizer: gptq }",
      null,
    ],
  ])("is refused by %s", (code, lines, budget) => {
    expect(() => check(lines, budget)).toThrow(expect.objectContaining({ code }));
  });

  it("may be for fewer bytes than whole blocks have, where the plan may leave them out", () => {
    const whole = AUTO.replace(/^prune.*\n/, "");
    expect(() => check(whole, 60 * 2 ** 20)).toThrow(expect.objectContaining({ code: "BUDGET_TOO_SMALL" }));
    expect(() => check(AUTO, 60 * 2 ** 20)).not.toThrow();
  });

  it("may name probes of any codec where the matrices are rounded when they are needed", () => {
    const lines = "score: { scorer: kl, options: { unit: matrix, probes: [q2s-g32] } }\nplan: { allocator: optimal }";
    expect(() => check(lines)).not.toThrow();
  });
});

describe("the texts of exits", () => {
  const recipe = (sequenceTokens: number) =>
    parseRecipe(
      `{ name: x, calibration: { sources: [{ path: a.txt, tokens: 8 }], sequenceTokens: ${sequenceTokens} } }`,
      "x",
    );

  it("have four sequences at least, as many of each file", () => {
    const of = (files: number, tokens: number, data: "calibration" | "self" = "calibration") =>
      checkExitTexts(recipe(64), { data, tokens }, { spec: smolSpec(), files });
    expect(() => of(1, 4 * 64)).not.toThrow();
    expect(() => of(3, 6 * 64)).not.toThrow();
    expect(() => of(3, 6 * 64 - 1)).toThrow(
      "exits.tokens: expected at least 384, 6 sequences of 64 from 3 files, found 383",
    );
    expect(() => of(3, 4 * 128, "self")).not.toThrow();
    expect(() => of(3, 4 * 128 - 1, "self")).toThrow("expected at least 512, 4 sequences of 128, found 511");
  });

  it("are no longer than the model was made for", () => {
    const longest = { spec: smolSpec(), files: 1 };
    expect(() => checkExitTexts(recipe(2 ** 20), { data: "calibration", tokens: 2 ** 24 }, longest)).toThrow(
      expect.objectContaining({ code: "CALIBRATION_SEQUENCE" }),
    );
  });
});
