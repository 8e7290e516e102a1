import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { STORIES } from "../support/fixtures.ts";
import { commandLine } from "./command-line.ts";

/** A command line, and what its one line must say. */
type Case = [args: string[], message: string];

const WORDS: Case[] = [
  [["runn", "x", "y"], "unknown command runn (did you mean run?)"],
  [["export", "x", "y"], "unknown command export (did you mean export-gguf?)"],
  [["serve-me"], "unknown command serve-me (layerwise --help lists them)"],
  [["x".repeat(5000)], `unknown command ${"x".repeat(49)}…${"x".repeat(49)} (layerwise --help lists them)`],
  [["run", "x", "y", "--max-token", "3"], "unknown option --max-token (did you mean --max-tokens?)"],
  [["run", "x", "y", "--temp", "3"], "unknown option --temp (did you mean --temperature?)"],
  [["run", "x", "y", "-n", "3"], "unknown option -n (layerwise run --help)"],
  [["run", "--max-token", "3", "x"], "unknown option --max-token (did you mean --max-tokens?)"],
  [["compress", "x", "--out", "y", "--bugdet", "3"], "unknown option --bugdet (did you mean --budget?)"],
  [["run"], "run: expected <model> and <prompt>, found none (for example layerwise run"],
  [["export-gguf", "x"], "export-gguf: expected <file>, found none (for example layerwise export-gguf"],
  [["run", "x", "Once", "upon"], "run: expected nothing more, found upon; a text of several words stands in quotes"],
  [["compress", "x"], "compress: expected --out, found none"],
  [["compress", "x", "--out", ""], "--out: expected a value, found none"],
  [["compress", "", "--out", "y"], "checkpoint: expected a value, found an empty one"],
  [["verify", ""], "artifact: expected a value, found an empty one"],
  [["run", "x", "y", "--max-tokens"], "--max-tokens: expected a value, found none"],
  [["run", "x", "y", "--max-tokens", "--verbose"], "--max-tokens: expected a value, found none"],
  [["run", "x", "y", "--max-tokens="], "--max-tokens: expected a value, found none"],
  [["run", "x", "y", "--max-tokens", "abc"], "--max-tokens: expected a whole number from 0 to 16,777,216, found abc"],
  [["run", "x", "y", "--maxTokens", "1e99"], "--max-tokens: expected a whole number from 0 to 16,777,216, found 1e99"],
  [["run", "x", "y", "--max-tokens", "1.5"], "--max-tokens: expected a whole number"],
  [["run", "x", "y", "--max-tokens", "1,000"], "--max-tokens: expected a whole number"],
  [["run", "x", "y", "--seed", "-1"], "--seed: expected a whole number from 0 to 4,294,967,295, found -1"],
  [["run", "x", "y", "--temperature", "NaN"], "--temperature: expected a number from 0 to 100, found NaN"],
  [["run", "x", "y", "--threads", "Infinity"], "--threads: expected a whole number from 1 to 1,024, found Infinity"],
  [["run", "x", "y", "--top-p", "0,9"], "--top-p: expected a number from 0 to 1, found 0,9"],
  [["run", "x", "y", "--seed", "1", "--seed", "2"], "--seed: expected once, found several times"],
  [["run", "x", "y", "--no-seed"], "--no-seed: expected --seed with a value; only switches can be taken back"],
  [["compress", "x", "--out", "y", "--no-out"], "--no-out: expected --out with a value"],
  [["run", "x", "y", "--kv", "q88"], "--kv: expected f32, f16 or q8, found q88 (did you mean q8?)"],
  [["run", "x", "y", "--system", "z"], "run: --system: expected --chat beside it, found none"],
  [["plan", STORIES, "--budget", "-5"], 'size "-5": expected more than 0 bytes, found -5'],
  [["plan", STORIES, "--budget", "-5MiB"], 'size "-5MiB": expected more than 0 bytes'],
  [["plan", STORIES, "--device", "phone-4bg"], "(did you mean phone-4gb?)"],
  [["plan", STORIES, "--device", "phone-4gb", "--budget", "1 GiB"], "plan: expected --device or --budget, found both"],
  [["plan", STORIES, "--csv"], "budget: expected --budget or --sweep beside --csv, found neither"],
  [["compress", "x", "--device", "phone", "--out", "y"], "device: expected one of"],
  [["bench", STORIES, "--rows", "1,2,x"], "--rows: expected a whole number from 1 to 1,024, found x"],
  [["bench", "--synthetic", "llama-1.1b", "--codec", "q4s-g23"], "codec: expected a name such as"],
  [
    ["run", "acme/Tiny-1B", "y"],
    "acme/Tiny-1B: expected a folder, found what looks like a name on the Hugging Face hub",
  ],
  [
    ["compress", "acme/Tiny-1B", "--budget", "1 GiB", "--out", "y"],
    "hf download acme/Tiny-1B --local-dir models/Tiny-1B",
  ],
  [["score", "acme/Tiny-1B"], "acme/Tiny-1B: expected a folder, found what looks like"],
  [["inspect", "hf://acme/Tiny-1B"], "hf:/acme/Tiny-1B: expected a folder, found what looks like"],
];

describe("words: what is typed nearly right is told from what is right", () => {
  test.each(WORDS)("%j", async (args, message) => {
    const { code, stdout, stderr } = await commandLine(args);
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/^(layerwise: no scores yet.*\n)?layerwise: [^\n]+\n$/);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  });
});

describe("long values are cut, and what a terminal would obey is spelt", () => {
  const long = "y".repeat(3000);
  test.each([
    ["run", long, "hi"],
    ["plan", STORIES, `--budget=${long}`],
    ["plan", STORIES, "--budget", `5${long}`],
    ["plan", STORIES, "--recipe", long],
    ["run", STORIES, "hi", "--isa", long],
    ["eval", STORIES, "--text", `${long} ${long}`],
    ["run", STORIES, "hi", "--decode", long],
  ])("%#", async (...args: string[]) => {
    const { code, stderr } = await commandLine(args);
    expect(stderr).toMatch(/^layerwise: .*y{40}…y{40}.*\n$/);
    expect(stderr.length).toBeLessThan(700);
    expect(code).toBe(1);
  });

  test("an escape sequence", async () => {
    const { stderr } = await commandLine(["inspect", "/no\u001b[31mwhere"]);
    expect(stderr).toContain("/no\\u001b[31mwhere: cannot read");
  });
});

const UNBOUNDED: Case[] = [
  [["bench", STORIES, "--context", "1e9"], "--context: expected a whole number from 1 to 16,777,216, found 1e9"],
  [["bench", STORIES, "--repeats", "1e6"], "--repeats: expected a whole number from 1 to 10,000, found 1e6"],
  [["bench", STORIES, "--rows", Array(65).fill(1).join()], "--rows: expected at most 64 numbers, found 65"],
  [["inspect", STORIES, "--context", "513"], "context: expected at most the model's 512 positions, found 513"],
  [["plan", STORIES, "--context", "513"], "context: expected at most the model's 512 positions, found 513"],
];

describe("bench-context-unbounded: numbers have bounds", () => {
  test.each(UNBOUNDED)("%j", async (args, message) => {
    expect(await commandLine(args)).toMatchObject({ code: 1, stderr: expect.stringContaining(message) });
  });
});

describe("sweep-unbounded: a sweep has at most 10,000 budgets", () => {
  test.each(["1e9", "10001", "1", "abc", "-3"])("%s", async (count) => {
    const { code, stderr } = await commandLine(["plan", STORIES, `--sweep=${count}`]);
    expect(stderr).toBe(`layerwise: --sweep: expected a whole number from 2 to 10,000, found ${count}\n`);
    expect(code).toBe(1);
  });
});

describe.skipIf(process.platform === "win32")("eval-text-device: input files are files", () => {
  test.each([
    ["eval", STORIES, "--text", "/dev/zero"],
    ["eval", STORIES, "--text", "calibration-data/tinystories-heldout.txt", "--calibration", "/dev/zero"],
    ["plan", STORIES, "--scores", "/dev/zero", "--budget", "9 MiB"],
    ["inspect", "/dev/zero"],
  ])("%s %s %s %s", async (...args: string[]) => {
    const { code, stderr } = await commandLine(args);
    expect(stderr).toMatch(
      /\/dev\/zero: expected a file, found a pipe or a device|expected an artifact with early exits/,
    );
    expect(code).toBe(1);
  });
});

describe("eval-text-device: what is refused before anything is read", () => {
  test("calibration text that is not there, before the run folder is made", async () => {
    const args = ["compress", STORIES, "--budget", "9 MiB", "--recipe", "fast", "--calibration", "/nowhere.txt"];
    const { code, stderr } = await commandLine([...args, "--out", "/nowhere/run"]);
    expect(stderr).toBe("layerwise: /nowhere.txt: cannot read: no such file or folder (check the path)\n");
    expect(code).toBe(1);
  });

  test("a prompt without end on standard input", async () => {
    const { code, stderr } = await commandLine(["run", STORIES, "-"], new Uint8Array(64 * 2 ** 20 + 1));
    expect(stderr).toBe("layerwise: standard input: expected at most 64.0 MiB, found more\n");
    expect(code).toBe(1);
  });
});

test("options may stand before the command", async () => {
  const { code, stdout } = await commandLine(["--json", "inspect", STORIES]);
  expect(JSON.parse(stdout)).toMatchObject({ kind: "checkpoint" });
  expect(code).toBe(0);
});

test("a model's own folder is no run folder", async () => {
  const args = ["compress", STORIES, "--budget", "9 MiB", "--recipe", "smoke", "--context", "64", "--out"];
  const { code, stderr } = await commandLine([...args, STORIES]);
  expect(stderr).toContain(`${STORIES}: expected a run folder or a new one, found a model's own (config.json)`);
  expect(code).toBe(1);
  expect(readdirSync(STORIES)).not.toContain("options.json");
});

describe("plan without a budget", () => {
  test("gives the feasible range", async () => {
    const { code, stdout } = await commandLine(["plan", STORIES]);
    expect(stdout).toMatch(/^feasible budgets: 8\.09 MiB \(8,478,976 bytes\) to 8\.40 MiB \([\d,]+ bytes\)\n$/);
    expect(code).toBe(0);
    const { range } = JSON.parse((await commandLine(["plan", STORIES, "--json"])).stdout);
    expect(range.smallestBytes).toBe(8_478_976);
  });

  test("a sweep has a line of its own for a budget that is named", async () => {
    const args = ["plan", STORIES, "--recipe", "uniform", "--context", "64", "--sweep", "3"];
    const { stdout } = await commandLine([...args, "--budget", "1.3 MiB"]);
    expect(stdout).toMatch(/^ *1\.30 MiB .*--budget$/m);
    const { points } = JSON.parse((await commandLine([...args, "--device", "tiny-160mb", "--json"])).stdout);
    expect(points).toHaveLength(4);
    expect(points[3].budgetBytes).toBe(160 * 2 ** 20);
  });
});
