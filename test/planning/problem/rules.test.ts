import { describe, expect, it } from "vitest";
import { matricesOf } from "../../../src/model/decoder-spec.ts";
import { nearNames } from "../../../src/near-names.ts";
import { BLOCK_GRAIN } from "../../../src/planning/problem/block-problem.ts";
import {
  blockCodecs,
  codecsToScore,
  type Grain,
  type MatrixToPlan,
  matricesToPlan,
  outerCodecsToScore,
} from "../../../src/planning/problem/matrices.ts";
import { MATRIX_GRAIN } from "../../../src/planning/problem/matrix-problem.ts";
import { matchRules, parseRules, RuleText } from "../../../src/planning/problem/rules.ts";
import { exampleSpec, planSettings } from "../example-spec.ts";

const SPEC = exampleSpec({ ffn: Array.from({ length: 12 }, () => 96) });
const MATRICES = matricesOf(SPEC);

function matched(glob: string): string[] {
  return [...matchRules(parseRules({ [glob]: "8 bits" }), MATRICES).keys()];
}

/** Under an allocator by block. */
function matricesOfPlan(settings: Record<string, unknown> = {}, storedDtype = "BF16", spec = SPEC): MatrixToPlan[] {
  return matricesToPlan(BLOCK_GRAIN, { spec, settings: planSettings(settings).plan, storedDtype });
}

function candidates(rules: Record<string, string>, id: string, plan: Record<string, unknown> = {}): readonly string[] {
  const found = matricesOfPlan({ ...plan, rules }).find((matrix) => matrix.id === id);
  if (!found) throw new Error(`no matrix ${id}`);
  return found.candidates;
}

describe("globs", () => {
  it.each([
    ["mlp.down", 12],
    ["blocks.3.mlp.down", 1],
    ["blocks.3", 7],
    ["blocks.3.*", 7],
    ["*.mlp.*", 36],
    ["attn.{q,k}", 24],
    ["blocks.{8..11}.mlp.down", 4],
    ["blocks.{11..8}.mlp.down", 4],
    ["embedding", 1],
    ["*", 85],
    ["!embedding", 84],
    ["!mlp.down", 73],
    ["!blocks.{0..3}", 57],
    ["!(mlp.*|attn.*)", 1],
  ])("%s matches %d matrices", (glob, count) => {
    expect(matched(glob)).toHaveLength(count);
  });

  it("counts the last rule that matches", () => {
    const rules = parseRules({ "mlp.*": ">= 8 bits", "blocks.2.mlp.up": "exclude" });
    const found = matchRules(rules, MATRICES);
    expect(found.get("blocks.2.mlp.up")?.text).toBe("blocks.2.mlp.up: exclude");
    expect(found.get("blocks.2.mlp.down")?.text).toBe("mlp.*: >= 8 bits");
  });

  it("refuses a glob that matches nothing and names what is near", () => {
    expect(() => matched("mlp.donw")).toThrow(
      expect.objectContaining({ code: "RULE_MATCHES_NOTHING", hint: expect.stringContaining("mlp.down") }),
    );
    expect(() => matched("!")).toThrow(expect.objectContaining({ code: "RULE_MATCHES_NOTHING" }));
    expect(() => matched("head")).toThrow(expect.objectContaining({ code: "RULE_MATCHES_NOTHING" }));
    expect(() => matched("zzzzzzzz.*.zzzzzzz")).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("matrices are embedding, attn.q") }),
    );
  });

  it("ranks near names by edit distance", () => {
    expect(nearNames("mlp.dwn", ["mlp.up", "mlp.down", "attn.q"])[0]).toBe("mlp.down");
  });
});

describe("rule texts", () => {
  it.each([">= 6 bits", "<= 8 bits", "= 8 bits", "8 bits", "8", "exclude", "q8s-g32", "= q4a-g64", ">=6", "= 16 bits"])(
    "%s is taken",
    (text) => {
      expect(RuleText.safeParse(text).success).toBe(true);
    },
  );

  it.each(["7 bits", "= 1 bits", "> 6 bits", ">= q8s-g32", "q9s-g32", "", "skip", ">= 64 bits", "<= 1 bits"])(
    "%j is refused",
    (text) => {
      expect(RuleText.safeParse(text).success).toBe(false);
    },
  );
});

describe("candidates under rules", () => {
  it("are the recipe's codecs without a rule, 16 bits being the stored type", () => {
    expect(candidates({}, "blocks.0.attn.q")).toEqual(["bf16", "q8s-g32", "q4s-g32"]);
    expect(matricesOfPlan({}, "F32")[1].candidates[0]).toBe("f16");
    expect(matricesOfPlan({}, "F16")[1].candidates[0]).toBe("f16");
  });

  it.each([
    [">= 6 bits", ["bf16", "q8s-g32"]],
    ["<= 8 bits", ["q8s-g32", "q4s-g32"]],
    ["= 8 bits", ["q8s-g32"]],
    ["= 6 bits", ["q6s-g32"]],
    ["q5a-g64", ["q5a-g64"]],
    ["exclude", ["bf16"]],
    ["<= 3 bits", ["q3s-g32"]],
    [">= 32 bits", ["f32"]],
  ])("%s leaves %j", (text, expected) => {
    expect(candidates({ "mlp.down": text }, "blocks.0.mlp.down")).toEqual(expected);
  });

  it("prefers the recipe's own codec of a width", () => {
    expect(candidates({ "mlp.down": "= 4 bits" }, "blocks.0.mlp.down", { codecs: [16, "q4a-g128"] })).toEqual([
      "q4a-g128",
    ]);
  });

  it("bound the embedding from its own codec", () => {
    expect(candidates({}, "embedding")).toEqual(["q8s-g32"]);
    expect(candidates({ embedding: ">= 6 bits" }, "embedding")).toEqual(["q8s-g32"]);
    expect(candidates({ embedding: ">= 16 bits" }, "embedding")).toEqual(["bf16"]);
    expect(candidates({ embedding: "<= 4 bits" }, "embedding")).toEqual(["q4s-g32"]);
  });

  it("give a tied embedding the wider of embedding and head, an untied head its own", () => {
    expect(candidates({}, "embedding", { embedding: "4 bits", head: "8 bits" })).toEqual(["q8s-g32"]);
    const untied = matricesOfPlan({ embedding: 4, head: 6 }, "BF16", exampleSpec({ ffn: [96], tied: false }));
    expect(untied[0].candidates).toEqual(["q4s-g32"]);
    expect(untied.at(-1)).toMatchObject({ id: "head", candidates: ["q6s-g32"] });
  });

  it("say what a scorer has to measure", () => {
    const matrices = matricesOfPlan({ rules: { "blocks.3.mlp.up": "= 6 bits" } });
    expect(codecsToScore(matrices)).toEqual(["bf16", "q8s-g32", "q6s-g32", "q4s-g32"]);
    expect(outerCodecsToScore(matrices)).toEqual(["q8s-g32"]);
  });

  it("refuse two codecs of one width by block, and take them by matrix", () => {
    const { plan } = planSettings({ codecs: ["q4s-g32", "q4a-g32"] });
    expect(() => blockCodecs(BLOCK_GRAIN, plan, "BF16")).toThrow(expect.objectContaining({ code: "PLAN_CODECS" }));
    expect(blockCodecs(MATRIX_GRAIN, plan, "BF16")).toEqual(["q4a-g32", "q4s-g32"]);
  });

  it("give embedding and head the recipe's list by matrix only", () => {
    const settings = planSettings({ embeddingCodecs: ["q4s-g32", "q8s-g32"] }).plan;
    const outer = (grain: Grain) =>
      matricesToPlan(grain, { spec: SPEC, settings, storedDtype: "BF16" }).find(({ block }) => block === null);
    expect(outer(BLOCK_GRAIN)?.candidates).toEqual(["q8s-g32"]);
    expect(outer(MATRIX_GRAIN)?.candidates).toEqual(["q8s-g32", "q4s-g32"]);
  });
});
