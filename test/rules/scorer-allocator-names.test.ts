import { describe, expect, it } from "vitest";
import { ALLOCATOR_IDS } from "../../src/planning/allocators/index.ts";
import { SCORER_IDS } from "../../src/scoring/index.ts";
import { SOURCE_FILES, textOf } from "./source-files.ts";

/** Files that hold a name as a word of their own: a default, a file's format, an option of the command line. */
const ALLOWED: Readonly<Record<string, string>> = {
  "planning/plan-settings.ts": "the allocator of a recipe that names none",
  "pipeline/prune-settings.ts": "how a pruning is spread that does not say",
  "pipeline/recipe.ts": "the scorer of a recipe that names none",
  "artifact/manifest.ts": "what a guard ships: the uniform rival's plan, or the plan",
  "pipeline/steps/guard.ts": "the same",
  "pipeline/shipped.ts": "the same",
  "training/tuning/rates.ts": "half a cosine, by which a rate falls",
  "cli/options/tune-options.ts": "the same",
  "cli/commands/plan.ts": "the option --uniform",
  "cli/options/run-options.ts": "the recipe of a run that names none",
  "bench/synthetic-artifact.ts": "a plan that no allocator has made",
};

const NAME = new RegExp(`["'\\\`](?:${[...SCORER_IDS, ...ALLOCATOR_IDS].join("|")})["'\\\`]`);
const COMMENT = /^\s*(?:\/\*\*|\*|\/\/)/;

/** Lines of code that hold a scorer's or an allocator's name in quotes. */
const namingLines = (text: string) => text.split("\n").filter((line) => !COMMENT.test(line) && NAME.test(line));

describe("names of scorers and allocators", () => {
  it("are seen in code and not in comments", () => {
    expect(namingLines('if (scorer === "kl") {\n  // not `kl`\n  case `optimal`:')).toHaveLength(2);
  });

  it("stand in their own files and tables alone", () => {
    const tables = /^(?:scoring|planning\/allocators)\//;
    const naming = SOURCE_FILES.filter((file) => !tables.test(file) && namingLines(textOf(file)).length > 0);
    expect(naming).toEqual(Object.keys(ALLOWED).sort());
  });

  it("are compared nowhere, scorers and allocators included", () => {
    const compared = new RegExp(`[!=]==\\s*${NAME.source}|${NAME.source}\\s*[!=]==`);
    const allowed = ["pipeline/shipped.ts"];
    const comparing = SOURCE_FILES.filter((file) =>
      textOf(file)
        .split("\n")
        .some((line) => compared.test(line)),
    );
    expect(comparing).toEqual(allowed);
  });
});
