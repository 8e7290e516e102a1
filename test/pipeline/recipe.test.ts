import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/errors.ts";
import {
  calibrationFiles,
  contextFor,
  loadRecipe,
  parseRecipe,
  Recipe,
  recipeNames,
  sequenceTokensFor,
} from "../../src/pipeline/recipe.ts";

const LEAST = "name: x\ncalibration:\n  sources:\n    - { path: a.txt, tokens: 10 }\n";

function refusal(text: string): UserError {
  try {
    parseRecipe(text, "my.yaml");
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error("the recipe was accepted");
}

describe("options of a scorer", () => {
  it("are checked with the recipe, for the scorer that it names", () => {
    const score = (scorer: string, options: string) => `${LEAST}score: { scorer: ${scorer}, options: ${options} }\n`;
    expect(refusal(score("kl", "{ fitPair: 3 }")).message).toBe(
      'my.yaml:5: score.options.fitPair: expected a known field, found "fitPair"',
    );
    expect(refusal(score("kl", "{ unit: row }")).message).toContain(
      "score.options.unit: expected one of block, matrix",
    );
    expect(refusal(score("cosine", "{ unit: matrix }")).message).toContain(
      "score.options.unit: expected a known field",
    );
    expect(refusal(score("lsaq", "{ tokens: 0 }")).message).toContain(
      "score.options.tokens: expected at least 1, found 0",
    );
    expect(parseRecipe(score("kl", "{ tokens: 8 }"), "my.yaml").score.options).toEqual({ tokens: 8 });
  });
});

describe("recipes that ship", () => {
  it("are found by name", () => {
    expect(recipeNames()).toEqual(expect.arrayContaining(["edge-llm", "lsaq", "max-quality", "smoke"]));
  });

  it.each(recipeNames())("%s fits the schema and names calibration text that ships", async (name) => {
    const loaded = await loadRecipe(name);
    expect(loaded.recipe.name).toBe(name);
    expect(Recipe.parse(JSON.parse(JSON.stringify(loaded.recipe)))).toEqual(loaded.recipe);
    for (const file of calibrationFiles(loaded)) expect(existsSync(file.path), file.path).toBe(true);
  });
});

describe("a recipe", () => {
  it("has its defaults from the schema", () => {
    const { plan, score, quantize, calibration, context, seed } = parseRecipe(LEAST, "my.yaml");
    expect(plan).toEqual({
      allocator: "lsaq",
      codecs: ["16", "q8s-g32", "q4s-g32"],
      embedding: "8 bits",
      embeddingCodecs: [],
      kvChoices: [],
      ties: [],
      latency: null,
      head: null,
      kvType: "f16",
      rules: {},
    });
    expect([score, quantize.quantizer, context, seed]).toEqual([{ scorer: "lsaq", options: {} }, "nearest", 2048, 0]);
    expect(calibration.sequenceTokens).toBeNull();
  });

  it("asks for early exits where it has the field", () => {
    expect(parseRecipe(LEAST, "my.yaml").exits).toBeUndefined();
    expect(parseRecipe(`${LEAST}exits: {}\n`, "my.yaml").exits).toMatchObject({ after: "even", tokens: 300_000 });
    expect(parseRecipe(`${LEAST}exits: { after: [2, 4] }\n`, "my.yaml").exits?.after).toEqual([2, 4]);
  });

  it("leaves the length of calibration sequences to the model, unless it says one", () => {
    const recipe = parseRecipe(LEAST, "my.yaml");
    expect([sequenceTokensFor(recipe, 2048), sequenceTokensFor(recipe, 128)]).toEqual([512, 128]);
    const own = { ...recipe, calibration: { ...recipe.calibration, sequenceTokens: 256 } };
    expect([sequenceTokensFor(own, 2048), sequenceTokensFor(own, 128)]).toEqual([256, 256]);
  });

  it("names sparse codecs by a kind of pruning that leaves shapes as they are", () => {
    const given = (prune: string) => parseRecipe(`${LEAST}prune: ${prune}\nplan: { codecs: [16, q8s-g32, 4] }\n`, "x");
    expect(given("{ kind: '2:4' }")).toEqual(
      parseRecipe(`${LEAST}plan: { codecs: [16, q8s-g32-2of4, q4s-g32-2of4] }\n`, "x"),
    );
    expect(given("{ kind: unstructured }").plan.codecs).toEqual(["16", "q8s-g32-n16", "q4s-g32-n16"]);
    expect(given("{ kind: unstructured, ratio: 0.25 }").plan.codecs).toEqual(["16", "q8s-g32-n24", "q4s-g32-n24"]);
    expect(given("{ kind: unstructured, ratio: 0.75 }").plan.codecs).toEqual(["16", "q8s-g32-n8", "q4s-g32-n8"]);
  });

  it("refuses an alias without its anchor in one line", () => {
    const { code, message } = refusal(`${LEAST}description: *nowhere\n`);
    expect(code).toBe("YAML_SYNTAX");
    expect(message).toMatch(/^my\.yaml: Unresolved alias .*nowhere$/);
  });

  it("may write widths as numbers and rules as text", () => {
    const { plan } = parseRecipe(
      `${LEAST}plan:\n  codecs: [8, 4]\n  rules: { mlp.down: ">= 6 bits", attn.q: 8 }\n`,
      "x",
    );
    expect(plan).toMatchObject({ codecs: ["8", "4"], rules: { "mlp.down": ">= 6 bits", "attn.q": "8" } });
  });

  it.each([
    ["plan:\n  alocator: lsaq\n", 'my.yaml:6: plan.alocator: expected a known field, found "alocator"'],
    [
      "plan:\n  allocator: lsak\n",
      'my.yaml:6: plan.allocator: expected one of lsaq, luc, optimal, uniform, found "lsak"',
    ],
    ["score: { scorer: mse }\n", 'my.yaml:5: score.scorer: expected one of lsaq, cosine, output-mse, kl, found "mse"'],
    [
      "quantize: { quantizer: learned-rounding }\n",
      "my.yaml:5: quantize.requantize: expected true with learned-rounding, which refines the chosen plan, found false",
    ],
    ["quantize: { quantizer: round }\n", "my.yaml:5: quantize.quantizer: expected one of nearest"],
    ["context: -1\n", "my.yaml:5: context: expected at least 1, found -1"],
    ["context: 1e9\n", "my.yaml:5: context: expected at most 16777216, found 1000000000"],
    ["seed: 4294967296\n", "my.yaml:5: seed: expected at most 4294967295, found 4294967296"],
    ["context: 1.5\n", "my.yaml:5: context: expected int, found 1.5"],
    ["context: long\n", 'my.yaml:5: context: expected number, found "long"'],
    ["prune: { kind: neurons, ratio: 1 }\n", "my.yaml:5: prune.ratio: expected"],
    ["prune: { kind: neurons, ratio: -0.1 }\n", "my.yaml:5: prune.ratio: expected"],
    ["prune: { kind: neurons, ratio: .nan }\n", "my.yaml:5: prune.ratio: expected"],
    ["prune: { kind: neuron, ratio: 0.1 }\n", "my.yaml:5: prune.kind: expected one of neurons, heads, block"],
    ["prune: { kind: '2:3' }\n", "attention, mlp, 2:4, unstructured, found"],
    [
      "prune: { kind: '2:4', ratio: 0.25 }\n",
      "prune.ratio: expected 0.5, which is what 2:4 has codecs for, found 0.25",
    ],
    ["prune: { kind: unstructured, ratio: 1 }\n", "my.yaml:5: prune.ratio: expected 0.5 or 0.25 or 0.75"],
    ["prune: { kind: '2:4', spread: luc }\n", 'prune.spread: expected a known field, found "spread"'],
    [
      "prune: { kind: '2:4' }\nplan: { codecs: [q4s-g32, q5a-g64] }\n",
      "my.yaml:6: plan.codecs.1: expected q3s-g32, q4s-g32 or q8s-g32, which have a twin for 2:4, found q5a-g64",
    ],
    [
      "prune: { kind: [neurons, heads], ratio: 0.2 }\n",
      "my.yaml:5: prune.kind: expected one kind with a ratio, found neurons, heads",
    ],
    ["prune: { kind: [neurons, head], ratio: auto }\n", "my.yaml:5: prune.kind.1: expected one of neurons"],
    ["prune: { kind: neurons, ratio: auto }\n", "plan.allocator: expected optimal with prune.ratio: auto, found lsaq"],
    [
      "prune: { kind: neurons, ratio: auto }\nplan: { allocator: optimal }\nscore: { scorer: output-mse }\n",
      "score.scorer: expected kl with prune.ratio: auto, found output-mse",
    ],
    ["exits: { ranks: 3 }\n", 'my.yaml:5: exits.ranks: expected a known field, found "ranks"'],
    ["exits:\n  after: [4, 8]\n  count: 2\n", "my.yaml:7: exits.count: expected none beside the points"],
    [
      "plan:\n  codecs:\n    - 16\n    - q4x\n",
      'my.yaml:8: plan.codecs.1: expected a codec or a width such as "8 bits"',
    ],
    ["plan:\n  embedding: 7 bits\n", "my.yaml:6: plan.embedding: expected one of 2, 3, 4, 5, 6, 8, 16, 32 bits"],
    ["plan:\n  rules:\n    mlp.down: '> 6'\n", "my.yaml:7: plan.rules.mlp.down: expected"],
    ["plan: [1]\n", "my.yaml:5: plan: expected object, found a list"],
  ])("with %j is refused by line and path", (more, message) => {
    const error = refusal(LEAST + more);
    expect(error.message).toContain(message);
    expect(error.message).not.toContain("\n");
    expect(error.code).toBe("YAML_FIELD");
  });

  it("names a misspelt field rather than the one that is missing", () => {
    expect(refusal("name: x\ncalibraton: {}\n").message).toBe(
      'my.yaml:2: calibraton: expected a known field, found "calibraton"',
    );
  });

  it("is refused when empty, when a field is missing, and when it is no YAML", () => {
    expect(refusal("").message).toBe("my.yaml:1: name: expected string, found nothing");
    expect(refusal("name: x\ncalibration: { sources: [] }\n").message).toContain(
      "my.yaml:2: calibration.sources: expected at least 1",
    );
    expect(refusal("name: x\ncalibration:\n  sources:\n    - tokens: 3\n").message).toContain(
      "my.yaml:4: calibration.sources.0.path: expected string, found nothing",
    );
    expect(refusal(`${LEAST}plan: {a: [}\n`)).toMatchObject({ code: "YAML_SYNTAX" });
    expect(refusal(`${LEAST}name: y\n`).message).toMatch(/^my\.yaml:5: /);
    expect(refusal("just text").message).toContain("my.yaml:1: document: expected object");
  });

  it("plans for the context asked for, else for its own as far as the model reaches", () => {
    const recipe = parseRecipe(LEAST, "my.yaml");
    expect([contextFor(recipe, 8192), contextFor(recipe, 512), contextFor(recipe, 512, 1024)]).toEqual([
      2048, 512, 1024,
    ]);
  });
});

describe("loadRecipe", () => {
  it("reads a file, with calibration text relative to it", async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), "layerwise-recipe-"));
    try {
      const file = path.join(folder, "own.yaml");
      await writeFile(file, LEAST);
      const loaded = await loadRecipe(file);
      expect(calibrationFiles(loaded)).toEqual([{ path: path.join(folder, "a.txt"), tokens: 10 }]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("refuses unknown names and missing files", async () => {
    await expect(loadRecipe("lsak")).rejects.toMatchObject({ code: "RECIPE_UNKNOWN", hint: "did you mean lsaq?" });
    await expect(loadRecipe("nowhere/x.yaml")).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
  });
});
