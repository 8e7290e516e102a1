import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { parseRecipe } from "../../src/pipeline/recipe.ts";
import { type RunOptions, recallOptions, rememberOptions } from "../../src/pipeline/run-options.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";

const base = temporaryFolder();
const OPTIONS: RunOptions = {
  checkpoint: "/models/x",
  budget: "160 MiB",
  contextTokens: null,
  kvType: "f16",
  residency: null,
  budgetCovers: null,
  executor: "auto",
  backend: "auto",
  recipe: parseRecipe("{ name: x, calibration: { sources: [{ path: a.txt, tokens: 8 }] } }", "x.yaml"),
  calibration: [{ path: "/texts/a.txt", tokens: 8 }],
};

function folderOf(name: string): string {
  mkdirSync(path.join(base, name));
  return path.join(base, name);
}

describe("the options of a run folder", () => {
  it("come back as they were, without what is no option of a run", async () => {
    const folder = folderOf("kept");
    await rememberOptions(folder, { ...OPTIONS, threads: 3 });
    expect(await recallOptions(folder)).toEqual({ ...OPTIONS, threads: 3 });
    const more = { ...OPTIONS, out: folder, onProgress: () => undefined };
    await rememberOptions(folder, more);
    expect(await recallOptions(folder)).toEqual(OPTIONS);
  });

  it("have no number of threads where an older file says null", async () => {
    const folder = folderOf("older");
    await rememberOptions(folder, OPTIONS);
    const file = path.join(folder, "options.json");
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), threads: null }));
    expect((await recallOptions(folder)).threads).toBeUndefined();
  });

  it("are missed by name", async () => {
    await expect(recallOptions(folderOf("empty"))).rejects.toMatchObject({ code: "NOT_A_RUN_FOLDER" });
    const folder = folderOf("damaged");
    writeFileSync(path.join(folder, "options.json"), "{}");
    await expect(recallOptions(folder)).rejects.toMatchObject({ code: "BAD_FIELD" });
  });
});
