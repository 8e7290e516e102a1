import { describe, expect, it } from "vitest";
import { STEPS } from "../../src/pipeline/steps/index.ts";
import { SOURCE_FILES, textOf } from "./source-files.ts";

const FOLDER = "pipeline/steps/";
/** The one file that knows what a step's file looks like. */
const RUN_FOLDER = "pipeline/run-folder.ts";

/** A file without its comments, which may speak of files. */
function code(file: string): string {
  return textOf(file).replaceAll(/^\s*(\/?\*|\/\/).*$/gm, "");
}

describe("steps", () => {
  it("are the files of their folder, each under its own name in the table", () => {
    const files = SOURCE_FILES.filter((file) => file.startsWith(FOLDER) && !file.endsWith("/index.ts"));
    expect(files.map((file) => file.slice(FOLDER.length, -".ts".length))).toEqual(Object.keys(STEPS).sort());
    for (const [name, step] of Object.entries(STEPS)) expect(step.name).toBe(name);
    for (const file of files) expect(textOf(file).match(/^export const \w+Step\b/gm), file).toHaveLength(1);
  });

  it("leave files whose form and names the run folder alone knows", () => {
    const names = Object.keys(STEPS).join("|");
    const knows = [
      new RegExp(`["'\`/](${names})\\.json\\b(?!\`)`), // opens a step's file
      /\.object\(\{ ?value\b/, // a schema of one
      /"value" in \w+ && "key" in/, // looks for its fields
      /\bkey: z\.string\(\), inputs:/, // the form itself
    ];
    const isOf = (file: string) => knows.some((pattern) => pattern.test(code(file)));
    expect(SOURCE_FILES.filter(isOf)).toEqual([RUN_FOLDER]);
  });

  it("are run by a page that holds no conditions of theirs", () => {
    const page = textOf("pipeline/compress.ts");
    expect(page.split("\n").length).toBeLessThanOrEqual(85);
    expect(page).not.toMatch(/\b(needsScores|usesLibrary|wanted)\b/);
  });
});
