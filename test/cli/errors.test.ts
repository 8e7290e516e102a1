import { mkdtempSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { STORIES } from "../support/fixtures.ts";
import { commandLine, layerwise, NOT_BUILT, needsBuild } from "./command-line.ts";

const empty = mkdtempSync(path.join(os.tmpdir(), "layerwise-cli-"));

const LATIN = path.join(empty, "latin.txt");
writeFileSync(LATIN, Buffer.from([0x63, 0xe9, 0x20]));

interface Case {
  readonly what: string;
  readonly args: string[];
  readonly message: RegExp;
}

const MISTAKES: Case[] = [
  { what: "an option and no command", args: ["--foo"], message: /unknown option --foo/ },
  { what: "an unknown command", args: ["rnu", "x"], message: /unknown command rnu \(did you mean run\?\)/ },
  {
    what: "an unknown command with an option",
    args: ["frobnicate", "x", "--foo"],
    message: /unknown command frobnicate/,
  },
  {
    what: "an unknown option",
    args: ["verify", "x", "--foo"],
    message: /unknown option --foo \(layerwise verify --help\)/,
  },
  {
    what: "a missing argument",
    args: ["run", "x"],
    message: /run: expected <prompt>, found none \(for example layerwise run .* 'Once upon a time'/,
  },
  {
    what: "a bad executor",
    args: ["run", "x", "y", "--executor", "gpu"],
    message: /--executor: expected auto, native or tfjs, found gpu/,
  },
  { what: "a bad KV type", args: ["run", "x", "y", "--kv", "q4"], message: /--kv: expected f32, f16 or q8, found q4/ },
  {
    what: "bad activations",
    args: ["run", "x", "y", "--activations", "f16"],
    message: /--activations: expected int8 or f32, found f16/,
  },
  {
    what: "a bad choice",
    args: ["run", "x", "y", "--backend", "gpu"],
    message: /--backend: expected auto, tensorflow, wasm or cpu, found gpu/,
  },
  {
    what: "a missing folder",
    args: ["run", "/nowhere", "y"],
    message: /\/nowhere: expected an artifact .* found no such folder/,
  },
  { what: "a folder without a model", args: ["run", empty, "y"], message: /found neither/ },
  {
    what: "nothing to inspect",
    args: ["inspect", "/nowhere"],
    message: /\/nowhere: cannot read: no such file or folder/,
  },
  {
    what: "a folder that is no run folder",
    args: ["score", empty],
    message: /expected a run folder with options\.json/,
  },
  {
    what: "an unknown recipe",
    args: ["plan", empty, "--budget", "1 GiB", "--recipe", "lsaqq"],
    message: /recipe: expected one of/,
  },
  {
    what: "a bad budget",
    args: ["plan", empty, "--budget", "600 MB/s"],
    message: /size "600 MB\/s": expected a unit of memory/,
  },
  {
    what: "no budget, and no device either",
    args: ["compress", empty, "--out", path.join(empty, "run")],
    message: /budget: expected --budget or --device FILE, found neither \(for example .*--device phone-4gb\)/,
  },
  {
    what: "no budget where devices are not taken",
    args: ["quantize", empty, "--out", path.join(empty, "run")],
    message: /budget: expected --budget, found none/,
  },
  {
    what: "a budget that is a plain number",
    args: ["plan", empty, "--budget", "160"],
    message: /did you mean 160 MiB\?/,
  },
  {
    what: "csv and json at once",
    args: ["plan", empty, "--sweep", "--csv", "--json"],
    message: /plan: expected --csv or --json, found both/,
  },
];

describe("mistakes give one line and exit status 1", () => {
  test.each(MISTAKES)("$what", async ({ args, message }) => {
    const { code, stdout, stderr } = await commandLine(args);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^layerwise: [^\n]+\n$/);
    expect(code).toBe(1);
    if (!args.includes("--json")) expect(stdout).toBe("");
  });

  test("with --json the document on standard output says the same", async () => {
    const { code, stdout, stderr } = await commandLine(["run", "/nowhere", "y", "--json"]);
    const { error } = JSON.parse(stdout);
    expect(error).toMatchObject({ code: "MODEL_NOT_FOUND", message: expect.stringContaining("/nowhere") });
    expect(stderr).toContain(error.message);
    expect(code).toBe(1);
  });
});

test.skipIf(NOT_BUILT)(needsBuild("the built program exits with that status"), async () => {
  const { code, stdout, stderr } = await layerwise(["inspect", "/nowhere"]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(/^layerwise: \/nowhere: cannot read: no such file or folder [^\n]+\n$/);
});

const MODEL_MISTAKES: Case[] = [
  {
    what: "a prompt beyond the context",
    args: ["run", STORIES, "one two three ".repeat(400), "--max-tokens", "128", "--backend", "wasm"],
    message: /prompt of [\d,]+ tokens and 128 to generate: the model's context is 512 tokens/,
  },
  {
    what: "options of two executors",
    args: ["run", STORIES, "hi", "--executor", "tfjs", "--isa", "avx2"],
    message: /executor: instruction set avx2 was asked for, which only the native executor has/,
  },
  {
    what: "a backend of the native executor",
    args: ["inspect", STORIES, "--executor", "native", "--backend", "wasm"],
    message: /executor: backend wasm was asked for, which only the tfjs executor has/,
  },
  {
    what: "an instruction set that is none",
    args: ["run", STORIES, "hi", "--isa", "mmx"],
    // Without the addon it is missed first.
    message: /isa: expected one of scalar\b.*, found mmx|executor: expected native, found no addon/,
  },
  {
    what: "no chat template",
    args: ["run", STORIES, "hi", "--chat", "--backend", "wasm"],
    message: /chat template: expected/,
  },
  {
    what: "a bad temperature",
    args: ["run", STORIES, "hi", "--temperature=-1", "--backend", "wasm"],
    message: /--temperature: expected a number from 0 to 100, found -1/,
  },
  {
    what: "a bad number of tokens",
    args: ["run", STORIES, "hi", "--max-tokens", "many", "--backend", "wasm"],
    message: /--max-tokens: expected a whole number from 0 to 16,777,216, found many/,
  },
  { what: "a text that is none", args: ["eval", STORIES, "--text", LATIN], message: /expected UTF-8 text/ },
  {
    what: "a plan to be saved that the pipeline would make without the scores given",
    args: ["plan", STORIES, "--budget", "10 MiB", "--save", "--scores", "x.json"],
    message: /plan: expected --save or --scores, found both/,
  },
  { what: "no text to evaluate", args: ["eval", STORIES, "--text", "/nowhere"], message: /\/nowhere: cannot read/ },
  { what: "verify of a checkpoint", args: ["verify", STORIES], message: /expected an artifact, found a checkpoint/ },
  { what: "a budget far too small", args: ["plan", STORIES, "--budget", "1 kB"], message: /expected at least/ },
  {
    what: "a recipe that needs scores where there are none",
    args: ["plan", STORIES, "--budget", "10 MiB", "--recipe", "lsaq"],
    message:
      /recipe lsaq: expected scores .*found none \(first layerwise score .* --recipe lsaq --out outputs\/stories260k, then/,
  },
];

describe("mistakes with a model", () => {
  test.each(MODEL_MISTAKES)("$what", async ({ args, message }) => {
    const { code, stderr } = await commandLine(args);
    const lines = stderr.trimEnd().split("\n");
    expect(lines.at(-1)).toMatch(message);
    expect(lines.at(-1)).toMatch(/^layerwise: /);
    expect(code).toBe(1);
  });
});
