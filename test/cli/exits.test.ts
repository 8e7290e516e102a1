import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { readManifest } from "../../src/artifact/reader.ts";
import { verifyArtifact } from "../../src/artifact/verify.ts";
import { compress } from "../../src/pipeline/compress.ts";
import { calibrationFiles, loadRecipe, Recipe } from "../../src/pipeline/recipe.ts";
import { recallOptions, rememberOptions } from "../../src/pipeline/run-options.ts";
import { EXAMPLE } from "../e2e/command.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { commandLine } from "./command-line.ts";

const base = temporaryFolder();
const run = path.join(base, "run");
const artifact = path.join(run, "artifact");

/** Settings of exits that train in a second. */
const SMALL = ["--rank", "4", "--head-vocab", "128", "--threads", "1"];

beforeAll(async () => {
  const loaded = await loadRecipe("smoke");
  const recipe = Recipe.parse({ ...loaded.recipe, plan: { allocator: "uniform", codecs: ["q4s-g32"] } });
  await compress({
    ...{ checkpoint: EXAMPLE, out: run, contextTokens: 128, kvType: null, residency: null, budgetCovers: null },
    ...{ budget: "3 MiB", executor: "auto", backend: "auto", threads: 1, recipe },
    calibration: calibrationFiles(loaded),
  });
});

/** An artifact without a run folder. */
function elsewhere(name: string): string {
  const folder = path.join(base, name);
  cpSync(artifact, folder, { recursive: true });
  return folder;
}

describe("layerwise compress with exits in the recipe", () => {
  it("prints what training did, and says all of it in one document", async () => {
    const recipe = path.join(base, "exits.yaml");
    writeFileSync(
      recipe,
      [
        "name: exits",
        `calibration: { sources: [{ path: ${path.resolve("calibration-data/tinystories-calibration.txt")}, tokens: 256 }], sequenceTokens: 64 }`,
        "plan: { allocator: uniform, codecs: [q4s-g32] }",
        "exits: { after: [3], rank: 4, vocabulary: 128, tokens: 1600 }",
      ].join("\n"),
    );
    const args = ["compress", EXAMPLE, "--budget", "3 MiB", "--context", "128", "--recipe", recipe, "--threads", "1"];
    const out = path.join(base, "compressed");
    const { code, stdout, stderr } = await commandLine([...args, "--out", out]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toMatch(/^exit heads +2\.44 KiB/m);
    expect(stdout).toMatch(/^after 3 blocks +\d+\.\d % +\d+\.\d % /m);
    expect(stdout).toMatch(/early exits by entropy over 128 ids; trained on 1,\d{3} tokens, seed 0/);
    const again = JSON.parse((await commandLine([...args, "--out", out, "--json"])).stdout);
    expect(again.exits).toMatchObject({ table: { exits: [{ blocks: 3 }] }, heads: [{ blocks: 3 }] });
  });
});

describe("layerwise exits", () => {
  it("trains exits for the artifact of a run folder, keeps their states, and does nothing the second time", async () => {
    const args = ["exits", run, "--exits", "4,2", "--tokens", "1600", ...SMALL];
    const { code, stdout, stderr } = await commandLine(args);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toMatch(/^after 2 blocks +\d+\.\d % +\d+\.\d % +\d+\.\d{3} +\d+\.\d{3} +\d+$/m);
    expect(stdout).toMatch(/hidden states for other heads at these points: .* in .*exit-states/);
    expect(stdout).toContain(`artifact: ${artifact}`);
    expect((await readManifest(artifact)).exits?.exits.map(({ blocks }) => blocks)).toEqual([2, 4]);
    expect(await verifyArtifact(artifact)).toEqual([]);
    const again = await commandLine([...args, "--json"]);
    expect(again.stderr).toMatch(/exits: already there/);
    expect(JSON.parse(again.stdout)).toMatchObject({ artifact, heads: [{ blocks: 2 }, { blocks: 4 }] });
    // The trunk is still the run's own.
    const { recipe, ...options } = await recallOptions(run);
    expect(recipe.exits).toBeUndefined();
    const steps: string[] = [];
    await compress({ ...options, recipe, out: run, onStep: (step) => !step.cached && steps.push(step.name) });
    expect(steps).toEqual([]);
  });

  it("trains them for an artifact from elsewhere on text that is named, and leaves nothing beside it", async () => {
    const folder = elsewhere("other");
    const text = path.join(base, "text.txt");
    writeFileSync(text, readFileSync("calibration-data/tinystories-calibration.txt", "utf8").slice(0, 30_000));
    const { code, stdout, stderr } = await commandLine([
      ...["exits", folder, "--text", text, "--tokens", "50000", "--count", "1", "--kind", "linear", "--json"],
      ...["--head-vocab", "128", "--confidence", "max", "--seed", "7", "--threads", "1"],
    ]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).toMatch(/\d+ tokens, fewer than the 50000 asked for: the text files hold no more/);
    const { table, states } = JSON.parse(stdout);
    expect(states).toBeNull();
    expect(table).toMatchObject({ exits: [{ kind: "linear" }], confidence: "max", training: { seed: 7 } });
    expect(existsSync(`${folder}.exits-work`)).toBe(false);
    expect(await verifyArtifact(folder)).toEqual([]);
  });

  it("lets the output head serve, and fits weights of a vote on text that neither is reported on", async () => {
    const folder = elsewhere("shared");
    const args = ["exits", folder, "--kind", "shared", "--exits", "2,4", "--vote", "weighted", "--tokens", "1600"];
    const { code, stdout, stderr } = await commandLine([...args, "--threads", "1"]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toMatch(/^after 2 blocks +shared +0 bytes/m);
    expect(stdout).toMatch(
      /^vote: after 2 \d+\.\d %, after 4 \d+\.\d %, output head \d+\.\d %; on \d+ held-out tokens/m,
    );
    const { exits } = await readManifest(folder);
    expect(exits?.training.tokens).toMatchObject({ train: 0, stop: 0 });
    const weights = exits?.voting?.weights ?? [];
    expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 9);
    expect(await verifyArtifact(folder)).toEqual([]);
    const asked = ["run", folder, "Once upon a time", "--max-tokens", "4", "--json"];
    const { decode } = JSON.parse((await commandLine([...asked, "--decode", "vote"])).stdout);
    expect(decode).toEqual({ kind: "vote", vote: "weighted", exits: [2, 4], weights });
    // The heads are the same without a vote, and the artifact then says nothing of one.
    await commandLine([...args.filter((arg) => arg !== "--vote" && arg !== "weighted"), "--threads", "1"]);
    const { voting, ...others } = exits ?? {};
    expect((await readManifest(folder)).exits).toEqual(others);
  });

  it("takes settings, text and memory from the recipe of the run folder, and leaves out what is not given", async () => {
    const exits = { after: [1, 3], rank: 3, vocabulary: 64, tokens: 1600 };
    const options = await recallOptions(run);
    await rememberOptions(run, { ...options, recipe: Recipe.parse({ ...options.recipe, exits }) });
    const { code, stdout, stderr } = await commandLine(["exits", artifact, "--rank", "5", "--json"]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(JSON.parse(stdout).table).toMatchObject({
      exits: [
        { blocks: 1, rank: 5 },
        { blocks: 3, rank: 5 },
      ],
      vocabulary: { ids: 64 },
    });
    const counted = JSON.parse((await commandLine(["exits", run, "--count", "1", "--json"])).stdout);
    expect(counted.table).toMatchObject({ exits: [{ blocks: 3, rank: 3 }] });
    await rememberOptions(run, options);
  });

  it.each([
    [["--exits", "2,2"], /exits: after\.1: expected rising points/],
    [["--exits", "2,5"], /expected points below the model's 5 blocks, found 5/],
    [["--exits", "early"], /--exits: expected numbers such as 8,16,24, or even, or auto, found "early"/],
    [["--exits", "2", "--count", "2"], /exits: count: expected none beside the points/],
    [["--head-vocab", "all"], /--head-vocab: expected a number of ids, or full, found "all"/],
    [["--kind", "linear", "--rank", "4"], /exits: rank: expected none with kind linear/],
    [["--kind", "shared", "--rank", "4"], /exits: rank: expected none with kind shared/],
    [["--tokens", "100"], /exits\.tokens: expected at least 256, 4 sequences of 64, found 100/],
    [["--seed", "-1"], /--seed: expected a whole number/],
    [["--text", "nowhere.txt"], /nowhere\.txt/],
    [["--tokens", "9", "--tokens", "10"], /--tokens: expected once, found several times/],
  ])("%j is a mistake of one line", async (args, message) => {
    const { code, stdout, stderr } = await commandLine(["exits", run, ...args]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).toMatch(message);
  });

  it("refuses a checkpoint, and exits that the planned budget has no room for unless told", async () => {
    const checkpoint = await commandLine(["exits", EXAMPLE]);
    expect(checkpoint).toMatchObject({ code: 1 });
    expect(checkpoint.stderr).toMatch(/expected an artifact or a run folder, found a checkpoint \(.*--recipe dssd/);
    const wide = ["exits", run, "--kind", "linear", "--head-vocab", "full", "--count", "4", "--tokens", "1600"];
    const refused = await commandLine(wide);
    expect(refused.stderr).toMatch(/expected exits that fit the planned \d+ bytes, found \d+ bytes with them/);
    expect(refused.code).toBe(1);
    const folder = elsewhere("wide");
    const { code, stderr } = await commandLine([
      ...["exits", folder, "--kind", "linear", "--head-vocab", "full", "--count", "4", "--tokens", "3072"],
      ...["--threads", "1", "--over-budget"],
    ]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const { plan } = await readManifest(folder);
    expect(plan.memory.totalBytes).toBeGreaterThan(plan.budgetBytes ?? Number.POSITIVE_INFINITY);
  });
});
