import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { EvaluationResult } from "../../src/evaluation/evaluation-result.ts";
import { ZeroShotResult } from "../../src/evaluation/zero-shot/zero-shot-result.ts";
import { makeStoriesWithExits } from "../decoding/artifact-with-exits.ts";
import { commandLine } from "./command-line.ts";

const stories = path.resolve("examples/stories260k");
const folder = mkdtempSync(path.join(os.tmpdir(), "layerwise-eval-"));
const text = path.join(folder, "text.txt");
const evaluated = ["eval", stories, "--text", text, "--windows", "3", "--window", "64", "--threads", "1"];

beforeAll(() => {
  writeFileSync(text, readFileSync("calibration-data/tinystories-heldout.txt", "utf8").slice(0, 2000));
  const examples = [
    { query: "Once upon a time, there was a little", choices: ["girl named Lily.", "qzx jv kk."], gold: 0 },
    { query: "The dog was very", choices: ["happy.", "xq zz."], gold: 0 },
  ];
  writeFileSync(path.join(folder, "copa.jsonl"), examples.map((example) => JSON.stringify(example)).join("\n"));
});

test("a text against the reference, whose states are kept for the next time", async () => {
  const states = path.join(folder, "states.safetensors");
  const args = [...evaluated, "--reference", stories, "--reference-states", states, "--json"];
  const first = await commandLine(args);
  expect(first.code).toBe(0);
  expect(existsSync(states)).toBe(true);
  const document = JSON.parse(first.stdout);
  const result = EvaluationResult.parse({
    ...document.result,
    text: { sha256: document.text.sha256, tokens: document.text.tokens },
  });
  expect(result.divergence).toMatchObject({ top1Agreement: 1, top5Agreement: 1 });
  expect(result.divergence?.max).toBeLessThan(1e-6);
  expect(document.timings.reference).toBeGreaterThan(0);
  const second = JSON.parse((await commandLine(args)).stdout);
  expect(second.result.reference.meanNll).toBeCloseTo(document.result.reference.meanNll, 6);
  expect(second.result.model.perplexity).toBeCloseTo(document.result.model.perplexity, 4);
});

test("weights-changed-during-compress: states of other weights under the same headers are refused", async () => {
  const other = path.join(folder, "other");
  cpSync(stories, other, { recursive: true });
  const states = path.join(folder, "other-states.safetensors");
  const args = [...evaluated, "--reference", other, "--reference-states", states];
  expect((await commandLine(args)).code).toBe(0);
  const weights = path.join(other, "model.safetensors");
  const bytes = readFileSync(weights);
  bytes[bytes.length - 4] ^= 1;
  writeFileSync(weights, bytes);
  const { code, stderr } = await commandLine(args);
  expect([code, stderr]).toEqual([1, expect.stringContaining(`${states}: expected the states of this reference`)]);
});

test("a text begins as tokenizer.json alone says, as for run; --bos yes takes the model's BOS or is refused", async () => {
  const bare = path.join(folder, "bare");
  cpSync(stories, bare, { recursive: true });
  rmSync(path.join(bare, "tokenizer_config.json"));
  const bosOf = async (...args: string[]) => {
    const { stdout } = await commandLine(["eval", bare, ...evaluated.slice(2), ...args, "--json"]);
    return JSON.parse(stdout).result.windows.bosToken;
  };
  expect([await bosOf(), await bosOf("--bos", "no")]).toEqual([1, null]);
  const run = await commandLine(["run", bare, "", "--max-tokens", "1", "--json"]);
  expect(JSON.parse(run.stdout).statistics.promptTokens).toBe(1);
  const rewrite = (name: string, change: object) => {
    const file = path.join(bare, name);
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...change }));
  };
  rewrite("tokenizer.json", { post_processor: null });
  expect([await bosOf(), await bosOf("--bos", "yes")]).toEqual([null, 1]);
  rewrite("config.json", { bos_token_id: null });
  const { code, stderr } = await commandLine(["eval", bare, ...evaluated.slice(2), "--bos", "yes"]);
  expect([code, stderr]).toEqual([1, expect.stringContaining("bos: expected a model with a BOS token, found none")]);
});

test("tasks and a text in Markdown", async () => {
  const tasks = ["--tasks", "copa", "--tasks-folder", folder];
  const { code, stdout } = await commandLine([...evaluated, ...tasks, "--markdown"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^\| measure \| value \|\n\| --- \| --- \|\n\| perplexity \| [\d.]+ ± [\d.]+ \|/);
  expect(stdout).toContain("| task | examples | acc | acc_norm | perplexity |\n| --- | ---: | ---: | ---: | ---: |");
  expect(stdout).toContain("| copa | 2 | 100.00 ± 0.00 | 100.00 ± 0.00 |  |");
});

test("tasks alone, some of their examples", async () => {
  const args = ["eval", stories, "--tasks", "copa", "--tasks-folder", folder, "--limit", "1", "--json"];
  const { stdout } = await commandLine(args);
  const document = JSON.parse(stdout);
  expect(document).toMatchObject({ text: null, result: null, overlap: null });
  const { tasks } = ZeroShotResult.parse(document.zeroShot);
  expect(tasks).toMatchObject([{ task: "copa", examples: 1, available: 2, accuracy: { value: 1, error: 0 } }]);
});

test("what exits and output head say together, by --decode vote; what no head says is refused", async () => {
  const artifact = path.join(folder, "exits");
  await makeStoriesWithExits(artifact);
  const asked = ["eval", artifact, ...evaluated.slice(2), "--tasks", "copa", "--tasks-folder", folder, "--json"];
  const [plain, vote] = [await commandLine(asked), await commandLine([...asked, "--decode", "vote"])].map(
    ({ stdout }) => JSON.parse(stdout),
  );
  expect([plain.decode, vote.decode]).toEqual(["plain", "vote"]);
  // Random heads say nothing: they can but take from what the output head says.
  expect(vote.result.model.perplexity).toBeGreaterThan(plain.result.model.perplexity);
  expect(ZeroShotResult.parse(vote.zeroShot).tasks[0].examples).toBe(2);
  const none = await commandLine([...evaluated, "--decode", "vote"]);
  expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining("expected early exits, found none") });
});

test("a checkpoint votes by its own head after some blocks, with weights that another text gives", async () => {
  const other = path.join(folder, "other.txt");
  writeFileSync(other, readFileSync("calibration-data/tinystories-heldout.txt", "utf8").slice(2000, 4000));
  const args = [...evaluated, "--exits-at", "2,4"];
  const documentOf = async (...one: string[]) => JSON.parse((await commandLine([...one, "--json"])).stdout);
  const fitted = await documentOf(...args, "--vote-text", other);
  const [max, plain] = [await documentOf(...args), await documentOf(...evaluated)];
  expect(max.decoding).toEqual({ kind: "vote", vote: "max", exits: [2, 4], weights: null });
  expect(fitted.decoding).toMatchObject({ kind: "vote", vote: "weighted", exits: [2, 4] });
  expect(fitted.decoding.weights).toHaveLength(3);
  expect(plain.decoding).toEqual({ kind: "plain" });
  // The output head alone is one of the votes that were fitted among.
  expect(fitted.result.model.meanNll).toBeLessThan(max.result.model.meanNll);
  expect(fitted.result.model.meanNll).toBeLessThan(plain.result.model.meanNll + 0.05);
  const { code, stdout } = await commandLine([...args, "--vote-weights", "0,1,3"]);
  expect([code, stdout]).toEqual([
    0,
    expect.stringContaining("vote (weighted): after 2 blocks 0, after 4 blocks 1, output head 3"),
  ]);
});

test("votes that cannot be are refused in one line", async () => {
  const refusals = [
    [["--exits-at", "2,4", "--vote-text", text], "vote-text: expected another text than --text, found the same"],
    [["--exits-at", "2", "--vote", "max", "--vote-text", stories], "vote-text: expected a vote by weights"],
    [["--exits-at", "two"], "--exits-at: expected a whole number from 1 to 1,000, found two"],
    [["--exits-at", "9"], "exits-at: expected rising numbers of blocks from 1 to 4, found 9"],
    [["--exits-at", "2", "--vote-weights", "1,-1"], "--vote-weights: expected a number from 0 to 1,000, found -1"],
    [["--exits-at", "2", "--vote", "most"], "--vote: expected max or weighted, found most"],
    [["--exits-at", "2", "--decode", "plain"], "exits-at: expected decode vote, found plain"],
    [["--exits-at", "2", "--vote-text", path.join(folder, "copa.jsonl")], "expected text, found JSON"],
  ] as const;
  for (const [args, message] of refusals) {
    const { code, stderr } = await commandLine([...evaluated, ...args]);
    expect([code, stderr]).toEqual([1, expect.stringContaining(message)]);
  }
});

describe("text shared with the calibration", () => {
  const calibration = path.join(folder, "calibration.txt");

  test("is reported with its share and an example", async () => {
    writeFileSync(calibration, `Something else. ${readFileSync(text, "utf8").slice(0, 300)}`);
    const { stdout, stderr } = await commandLine([...evaluated, "--calibration", calibration, "--json"]);
    const { overlap } = JSON.parse(stdout);
    expect(overlap.shared).toBeGreaterThan(20);
    expect(overlap.shared).toBeLessThan(80);
    expect(overlap.calibration).toEqual([calibration]);
    expect(stderr).toContain(`warning: ${overlap.shared} of ${overlap.runs} runs of 13 words of the evaluation`);
  });

  test("is not where there is none", async () => {
    writeFileSync(calibration, "Nothing of it is here, ".repeat(20));
    const { stdout, stderr } = await commandLine([...evaluated, "--calibration", calibration, "--json"]);
    expect(JSON.parse(stdout).overlap).toMatchObject({ shared: 0, example: null });
    expect(stderr).not.toContain("warning");
  });
});

test.each([
  { args: [], message: /expected --text or --tasks, found neither/ },
  { args: ["--text", text, "--reference-states", "x"], message: /expected --text and --reference beside it/ },
  { args: ["--tasks", "copa"], message: /expected --tasks-folder, found none/ },
  { args: ["--tasks", "mmlu", "--tasks-folder", folder], message: /found mmlu/ },
  {
    args: ["--tasks", "piqa", "--tasks-folder", folder],
    message: /task piqa: expected piqa.jsonl, found no such file/,
  },
])("refuses $args", async ({ args, message }) => {
  const { code, stderr } = await commandLine(["eval", stories, ...args]);
  expect(stderr).toMatch(message);
  expect(code).toBe(1);
});
