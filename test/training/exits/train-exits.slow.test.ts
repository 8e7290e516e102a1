import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ExitTable } from "../../../src/artifact/exits/table.ts";
import { Interrupted } from "../../../src/errors.ts";
import { openCheckpoint } from "../../../src/model/checkpoint.ts";
import { exitTensorBytes } from "../../../src/model/exit-bytes.ts";
import { loadTokenizer } from "../../../src/model/tokenizer.ts";
import { createExecutor } from "../../../src/runtime/create-executor.ts";
import { type TrainExitsOptions, trainExits } from "../../../src/training/exits/train-exits.ts";
import { smallSpec } from "../../runtime/random-model.ts";
import { NEOX, STORIES } from "../../support/fixtures.ts";

const MODELS = { stories260k: STORIES, "neox-tiny": NEOX };
type ModelName = keyof typeof MODELS;

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "exits-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const settings = { epochs: 3, batchTokens: 128, rate: 5e-3, evaluateEvery: 6 };

/** Exits of a small model. */
async function exitsOf(name: ModelName, points: readonly number[], work: Partial<TrainExitsOptions> = {}) {
  const source = await openCheckpoint(MODELS[name]);
  const executor = await createExecutor(source, { executor: "tfjs", threads: 1 });
  try {
    return await trainExits({
      ...{ source, executor, modelId: name, sequences: await textOf(name), folder, points, seed: 3 },
      ...{ kind: "adapter", rank: 8, vocabulary: 256, confidence: "entropy", settings, threads: 1, ...work },
    });
  } finally {
    await executor.dispose();
    await source.close();
  }
}

/** Text that ships, in short sequences. */
async function textOf(name: ModelName): Promise<Int32Array[]> {
  const tokenizer = await loadTokenizer(MODELS[name]);
  const text = readFileSync("calibration-data/tinystories-calibration.txt", "utf8").slice(0, 9000);
  const ids = Int32Array.from(tokenizer.encode(text));
  return Array.from({ length: Math.floor(ids.length / 48) }, (_, i) => ids.slice(i * 48, (i + 1) * 48));
}

describe("trainExits", () => {
  it.each([
    ["stories260k", [2, 4]],
    ["neox-tiny", [2, 4]],
  ] as const)("trains heads that beat the logit lens, and says what their thresholds do: %s", async (name, points) => {
    const { heads, ids, table } = await exitsOf(name, points);
    expect(ExitTable.parse(JSON.parse(JSON.stringify(table)))).toEqual(table);
    expect(ids?.length).toBe(256);
    expect(heads.map(({ blocks }) => blocks)).toEqual(points);
    for (const [i, { before, after, parameters }] of heads.entries()) {
      expect(after.loss).toBeLessThan(before.loss);
      const bytes = parameters.reduce((sum, { values, dtype }) => sum + values.length * (dtype === "F16" ? 2 : 4), 0);
      expect(table.exits[i].bytes).toBe(bytes);
    }
    expect(table.training.heads?.map(({ tokens }) => tokens)).toEqual(points.map(() => table.training.tokens.report));
    for (const { agreement } of table.training.heads ?? []) expect(agreement).toBeGreaterThan(0);
    const coverages = table.levels.map(({ report }) => report.coverage);
    expect(coverages[0]).toBeGreaterThan(0);
  });

  it("interrupted and called again gives the same heads and thresholds", async () => {
    const whole = await exitsOf("stories260k", [2]);
    rmSync(folder, { recursive: true });
    folder = mkdtempSync(path.join(tmpdir(), "exits-"));
    const stop = new AbortController();
    const onProgress: TrainExitsOptions["onProgress"] = ({ stage, done }) => {
      if (stage === "training exits" && done === 8) stop.abort();
    };
    await expect(exitsOf("stories260k", [2], { signal: stop.signal, onProgress })).rejects.toThrow(Interrupted);
    expect(await exitsOf("stories260k", [2])).toEqual(whole);
  });
});

describe("bytes of an exit", () => {
  it("is known before training", () => {
    const spec = smallSpec({ hiddenSize: 64, vocabSize: 512 });
    const headBytes = (of: typeof spec, kind: "linear" | "adapter", rank: number | null, ids: number | null) =>
      exitTensorBytes(of, { exits: [{ kind, rank }], vocabulary: ids === null ? "full" : { ids } }, 0);
    expect(headBytes(spec, "linear", null, null)).toBe(4 * 64 + 2 * 64 * 512);
    expect(headBytes(spec, "adapter", 8, 100)).toBe(4 * 64 + 4 * 65 + 2 * 2 * 8 * 64);
    expect(headBytes(smallSpec({ hiddenSize: 64, norm: "layer" }), "adapter", 8, null)).toBe(8 * 64 + 2 * 2 * 8 * 64);
  });
});
