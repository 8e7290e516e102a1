import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openModel } from "../../src/decoding/open-model.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { readPeftAdapter } from "../../src/model/peft/read.ts";
import { rowsOf } from "../../src/passes/rows.ts";
import { runRows } from "../../src/passes/run-rows.ts";
import { EXAMPLE } from "../e2e/command.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { commandLine } from "./command-line.ts";

const base = temporaryFolder();
const text = path.join(base, "text.txt");
const SMALL = [
  "--steps",
  "4",
  "--accumulate",
  "1",
  "--sequence",
  "64",
  "--window",
  "2",
  "--threads",
  "1",
  "--rank",
  "4",
];

beforeAll(() => {
  writeFileSync(text, readFileSync("calibration-data/tinystories-calibration.txt", "utf8").slice(0, 3000));
});

describe("layerwise tune", () => {
  it("writes an adapter, its exits and a merged checkpoint, and prints perplexity before and after", async () => {
    const [out, merge] = [path.join(base, "tuned"), path.join(base, "merged")];
    const args = ["tune", EXAMPLE, "--data", text, "--out", out, ...SMALL, "--rate", "0.01"];
    const { code, stdout, stderr } = await commandLine([...args, "--merge", merge]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toMatch(/^held-out perplexity +before +after\nafter 2 blocks +\d/m);
    expect(stdout).toMatch(/^the model +[\d.]+ +[\d.]+$/m);
    expect(stdout).toContain(`merged checkpoint: ${merge}`);
    expect(JSON.parse(readFileSync(path.join(out, "adapter/layerwise_exits.json"), "utf8"))).toEqual({
      blocks: [2, 4, 5],
    });
    const checkpoint = await openCheckpoint(EXAMPLE);
    const { parts } = await readPeftAdapter(path.join(out, "adapter"), checkpoint.spec);
    expect(parts).toHaveLength(5 * 7);
    // The merged model is the base model with the adapter.
    const ids = Int32Array.from({ length: 20 }, (_, i) => 7 * i + 3);
    const [beside, merged] = [await openModel(EXAMPLE, { threads: 1 }), await openModel(merge, { threads: 1 })];
    await beside.executor.loadAdapter("tuned", parts);
    const states = async ({ executor }: typeof beside, options = {}) =>
      executor.read(await runRows(executor, rowsOf([ids]), options));
    const wanted = await states(beside, { adapter: "tuned" });
    const plain = await states(beside);
    const found = await states(merged);
    const distance = (one: Float32Array) => Math.sqrt(one.reduce((sum, x, i) => sum + (x - wanted[i]) ** 2, 0));
    expect(distance(found)).toBeLessThan(0.02 * distance(plain));
    await Promise.all([beside.close(), merged.close(), checkpoint.close()]);

    // Once more: there is nothing left to do, and the result is the same.
    const document = JSON.parse((await commandLine([...args, "--json"])).stdout);
    expect(document).toMatchObject({ took: { steps: 0 }, settings: { window: 2, rank: 4 } });
    expect(document.losses).toHaveLength(3);
  });

  it.each([
    ["unknown fields", '{"text": "a", "label": 1}', [], 'data.jsonl:1: expected no other fields, found "label"'],
    [
      "empty answers",
      '{"prompt": "a", "completion": ""}',
      [],
      "data.jsonl:1: expected a completion, found an empty one",
    ],
    [
      "a sequence beyond its length",
      JSON.stringify({ prompt: "once ".repeat(80), completion: "upon" }),
      [],
      "data.jsonl:1: expected at most 64 tokens, found ",
    ],
    [
      "sequences beyond the context",
      '{"text": "Once upon a time"}',
      ["--sequence", "100000"],
      "sequence: expected at most the model's context of 512 tokens, found 100000",
    ],
    ["a window of more blocks", '{"text": "a"}', ["--window", "9"], "window: expected at most 5 blocks, found 9"],
    ["a first block beyond", '{"text": "a"}', ["--first-block", "5"], "first-block: expected a block below 5, found 5"],
    ["an unknown role", '{"text": "a"}', ["--roles", "attn.x"], "--roles: expected some of attn.q,"],
    ["one sequence alone", '{"text": "Once upon a time"}', [], "expected two sequences or more"],
  ])("refuses %s in one line", async (_, data, more, message) => {
    const file = path.join(base, "data.jsonl");
    writeFileSync(file, data);
    const out = path.join(base, "refused");
    const settings = more.includes("--sequence") ? more : ["--sequence", "64", ...more];
    const found = await commandLine(["tune", EXAMPLE, "--data", file, "--out", out, ...settings]);
    expect(found).toMatchObject({ code: 1, stdout: "" });
    expect(found.stderr).toContain(message);
    expect(found.stderr.trim().split("\n")).toHaveLength(1);
    expect(existsSync(out)).toBe(false);
  });
});
