import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { checkOverlap, overlapText } from "../../../src/cli/evaluation/overlap-check.ts";
import { wordTokenizer } from "../../calibration/word-tokenizer.ts";

const run = mkdtempSync(path.join(os.tmpdir(), "layerwise-overlap-"));
const folder = path.join(run, "artifact");
mkdirSync(folder);
const words = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `w${from + i}`).join(" ");
const tokenizer = wordTokenizer();

test("an artifact's run folder knows the calibration tokens themselves", async () => {
  const model = { kind: "artifact", folder, tokenizer } as const;
  expect(await checkOverlap({ model, files: undefined, texts: [words(0, 40)] })).toBeNull();

  const sequences = [words(0, 20), words(100, 120)].map((text) => [...tokenizer.encode(text)]);
  const sources = [{ path: "text.txt", sha256: "", tokens: 40, sequences: 2 }];
  const step = { key: "k", inputs: {}, value: { id: "x", tokens: 40, sources, sequences, heldOut: [] } };
  writeFileSync(path.join(run, "calibration.json"), JSON.stringify(step));
  const report = await checkOverlap({ model, files: undefined, texts: [words(5, 19), words(200, 230)] });
  expect(report).toEqual({ calibration: ["text.txt"], words: 13, runs: 2 + 18, shared: 2, example: words(5, 18) });
  expect(report && overlapText(report)).toBe(
    `warning: 2 of 20 runs of 13 words of the evaluation (10 %) are in the calibration text (text.txt), such as "${words(5, 18)}": the figures flatter the model`,
  );
  writeFileSync(path.join(run, "calibration.json"), JSON.stringify({ value: { other: 1 } }));
  expect(await checkOverlap({ model, files: undefined, texts: [] })).toBeNull();
  writeFileSync(path.join(run, "calibration.json"), JSON.stringify(step));
  // A checkpoint beside a run folder was not calibrated by it.
  expect(await checkOverlap({ model: { ...model, kind: "checkpoint" }, files: undefined, texts: [] })).toBeNull();
});

test("files that are named are read in place of the run folder's, documents apart", async () => {
  const file = path.join(run, "other.jsonl");
  writeFileSync(file, [words(300, 307), words(307, 330)].map((text) => JSON.stringify({ text })).join("\n"));
  const model = { kind: "artifact", folder, tokenizer } as const;
  const report = await checkOverlap({ model, files: [file], texts: [words(0, 20), words(300, 330)] });
  expect(report).toMatchObject({ calibration: [file], runs: 8 + 18, shared: 11 });
  await expect(checkOverlap({ model, files: [path.join(run, "none.txt")], texts: [] })).rejects.toThrow("none.txt");
});
