import { describe, expect, it } from "vitest";
import { UserError } from "../../src/errors.ts";
import { parseYamlDocument } from "../../src/formats/yaml-document.ts";
import { exitFileLayout } from "../../src/model/exit-bytes.ts";
import { ExitSettings, exitShapeOf } from "../../src/pipeline/exit-settings.ts";
import { tinySpec } from "../artifact/tiny-source.ts";
import { smolSpec } from "../planning/example-spec.ts";

const parse = (text: string) => parseYamlDocument(text, "my.yaml", ExitSettings);

function refusal(read: () => unknown): UserError {
  try {
    read();
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

describe("exit settings", () => {
  it("have defaults for everything", () => {
    expect(parse("{}")).toEqual({
      ...{ after: "even", kind: "adapter", vocabulary: 8192, tokens: 300_000 },
      ...{ data: "calibration", confidence: "entropy" },
    });
    expect(parse("{ after: [8, 16, 24], vocabulary: full }")).toMatchObject({
      after: [8, 16, 24],
      vocabulary: "full",
    });
  });

  it("are refused by line and field", () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ["ranks: 3", /^my\.yaml:1: ranks: expected a known field, found "ranks"$/],
      ["kind: adaptor", /^my\.yaml:1: kind: expected one of adapter, linear, shared, found "adaptor"$/],
      ["kind: linear\nrank: 8", /^my\.yaml:2: rank: expected none with kind linear, found 8$/],
      ["kind: shared\nrank: 8", /^my\.yaml:2: rank: expected none with kind shared, found 8$/],
      ["after: windows\ncount: 2", /^my\.yaml:2: count: expected none beside the ends of windows, found 2$/],
      ["vote: most", /^my\.yaml:1: vote: expected one of max, weighted, found "most"$/],
      ["after: [4, 8]\ncount: 2", /^my\.yaml:2: count: expected none beside the points/],
      ["after: [8, 4]", /after\.1: expected rising points, found 4$/],
      ["tokens: 0", /tokens: expected at least 1, found 0$/],
      ["confidence: luck", /confidence: expected one of entropy, max, margin/],
      ["vocabulary: all", /^my\.yaml:1: vocabulary: expected/],
    ];
    for (const [text, message] of cases) expect(refusal(() => parse(text)).message).toMatch(message);
    expect(refusal(() => parse("kind: adaptor")).hint).toBe("did you mean adapter?");
  });
});

describe("exitShapeOf", () => {
  it("knows the bytes before anything is trained: SmolLM2's default exits are below 1 MB", () => {
    const shape = exitShapeOf(parse("{}"), smolSpec());
    expect(shape).toEqual({
      exits: [0, 1, 2].map(() => ({ kind: "adapter", rank: 128 })),
      vocabulary: { ids: 8192 },
    });
    expect(exitFileLayout(smolSpec(), shape).totalBytes).toBeLessThan(1e6);
  });

  it("of shared exits is the whole vocabulary and nothing of their own", () => {
    const shape = exitShapeOf(parse("{ after: [8, 16], kind: shared, vote: weighted }"), smolSpec());
    const shared = { kind: "shared", rank: null };
    expect(shape).toEqual({ exits: [shared, shared], vocabulary: "full" });
    expect(exitFileLayout(smolSpec(), shape).tensors.size).toBe(0);
  });

  it("is of as many exits as tuned windows end below the last block, and refused where none does", () => {
    const settings = parse("{ after: windows, kind: shared }");
    expect(exitShapeOf(settings, smolSpec(), [8, 16]).exits).toHaveLength(2);
    for (const ends of [null, []]) {
      const { code, message } = refusal(() => exitShapeOf(settings, smolSpec(), ends));
      expect([code, message]).toEqual(["EXIT_POINTS", expect.stringContaining("expected windows of a recipe's tune")]);
    }
  });

  it("gives a small model all its ids and a rank that fits", () => {
    const shape = exitShapeOf(parse("{ after: [1, 2] }"), tinySpec(true));
    expect(shape.vocabulary).toBe("full");
    expect(shape.exits).toEqual([
      { kind: "adapter", rank: 48 },
      { kind: "adapter", rank: 48 },
    ]);
    expect(exitShapeOf(parse("{ kind: linear, count: 1 }"), tinySpec(true)).exits).toEqual([
      { kind: "linear", rank: null },
    ]);
  });

  it("refuses exits that the model has no blocks or no width for", () => {
    const refused = (text: string) => refusal(() => exitShapeOf(parse(text), tinySpec(true)));
    expect(refused("after: [1, 4]")).toMatchObject({ code: "EXIT_POINTS" });
    expect(refused("after: [1, 4]").message).toMatch(/points below the model's 4 blocks, found 4/);
    expect(refused("count: 4").message).toMatch(/a number of exits below the model's 4 blocks, found 4/);
    expect(refused("rank: 49")).toMatchObject({ code: "EXIT_RANK" });
  });
});
