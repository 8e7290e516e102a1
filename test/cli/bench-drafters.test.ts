import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { addExits } from "../../src/artifact/exits/add.ts";
import { ArtifactWriter } from "../../src/artifact/writer.ts";
import { DraftersResult } from "../../src/bench/drafters/result.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { quantizeModel } from "../../src/quantization/quantize-model.ts";
import { tinyContents, tinyTable } from "../artifact/exits/tiny-exits.ts";
import { tinyParts, tinyPlan } from "../artifact/tiny-source.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { HAS_ADDON, needsAddon } from "../runtime/native/addon-state.ts";
import { STORIES } from "../support/fixtures.ts";
import { commandLine } from "./command-line.ts";

const LITTLE = ["--prompt-count", "2", "--prompt-tokens", "12", "--generate-tokens", "6", "--repeats", "1"];
const SWEEP = ["--draft-lengths", "2", "--draft-limits", "3", "--threads", "1"];

describe.skipIf(!HAS_ADDON)(needsAddon("bench --drafters"), () => {
  let folder: string;
  let prompts: string;

  beforeAll(async () => {
    folder = path.join(temporaryFolder(), "made");
    const source = await openCheckpoint(STORIES);
    const { spec } = source;
    const writer = await ArtifactWriter.open({ folder, key: "k", spec, plan: tinyPlan(spec, ["q8s-g32"]) });
    await quantizeModel({ source, maths: plainMaths, quantizer: "nearest", writer });
    await writer.finish(tinyParts(STORIES, ["tokenizer.json", "tokenizer_config.json"]));
    await source.close();
    await addExits(folder, { table: tinyTable(spec), contents: tinyContents(spec) });
    prompts = path.join(temporaryFolder(), "prompts.txt");
    writeFileSync(prompts, "Once upon a time\nThe dog ran\nOne day\n");
  });

  test("--json is one document, and the files asked for are written", async () => {
    const [csv, picture] = ["rows.csv", "rows.svg"].map((name) => path.join(temporaryFolder(), name));
    const files = ["--prompts", prompts, "--csv", csv, "--picture", picture, "--json"];
    const { code, stdout, stderr } = await commandLine(["bench", folder, "--drafters", ...LITTLE, ...SWEEP, ...files]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { drafters } = JSON.parse(stdout);
    const { rows, exits, perfect, prompts: found } = DraftersResult.parse(drafters);
    expect(exits).toEqual([1, 2]);
    expect(found).toMatchObject({ source: "prompts.txt", count: 2 });
    expect(rows.map(({ kind }) => kind)).toEqual(["plain", "fixed", "fixed", "dssd", "dssd", "dssd", "adaptive"]);
    expect(rows.every(({ exact }) => exact)).toBe(true);
    expect(perfect?.predicted.ratio).toBeGreaterThan(0);
    expect(readFileSync(csv, "utf8").split("\n")).toHaveLength(rows.length + 2);
    expect(readFileSync(picture, "utf8")).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
  });

  test("prints a table with every way to draft, the measured parts, and how it was done", async () => {
    const { code, stdout } = await commandLine([
      "bench",
      folder,
      "--drafters",
      ...LITTLE,
      ...SWEEP,
      "--epsilons",
      "0.8",
    ]);
    expect(code).toBe(0);
    for (const name of [
      "plain",
      "exit 1, 2 drafts",
      "exit 2, 2 drafts",
      "DSSD 0.8, up to 3",
      "DSSD adaptive from 0.8",
    ]) {
      expect(stdout).toContain(name);
    }
    expect(stdout).toMatch(/after 2 blocks: to draft there [\d.]+ ms/);
    expect(stdout).toMatch(/fastest: .* measured, .* by the cost model; bound by/);
    expect(stdout).toMatch(/if every exit knew when it is right, [\d.]+ % of the tokens would leave early: [\d.]+x/);
    expect(stdout).toMatch(/greedy, 2 prompts of \d+ tokens from calibration text that ships/);
  });

  test.each([
    [["--epsilons", "0.99"], "epsilon: expected a number from 0 to 0.95, found 0.99"],
    [["--draft-limits", "40"], "--draft-limits: expected a whole number from 1 to 32, found 40"],
    [["--draft-lengths", "two"], "--draft-lengths: expected a whole number from 1 to 32, found two"],
    [["--backends", "cpu"], "bench --drafters: expected --backend, found --backends"],
  ])("refuses %o", async (args, message) => {
    const { code, stderr } = await commandLine(["bench", folder, "--drafters", ...LITTLE, ...args]);
    expect(stderr).toContain(message);
    expect(code).toBe(1);
  });

  test("refuses a model without exits, and a drafter's option without --drafters", async () => {
    const { code, stderr } = await commandLine(["bench", STORIES, "--drafters"]);
    expect(stderr).toMatch(/expected an artifact with early exits, found none \(layerwise exits trains them\)/);
    expect(code).toBe(1);
    expect((await commandLine(["bench", folder, "--csv", "x.csv"])).stderr).toContain("--csv: expected --drafters");
  });
});
