import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CodecId } from "../../../src/codecs/index.ts";
import { Interrupted } from "../../../src/errors.ts";
import { plainMaths } from "../../../src/maths/plain/plain-maths.ts";
import { matricesOf, vectorsOf } from "../../../src/model/decoder-spec.ts";
import type { WeightSource } from "../../../src/model/weight-source.ts";
import type { OnProgress } from "../../../src/progress.ts";
import { buildLibrary } from "../../../src/quantization/library/build-library.ts";
import { MatrixLibrary } from "../../../src/quantization/library/matrix-library.ts";
import type { Learned } from "../../../src/training/rounding/learn-block.ts";
import { openLearnedRounding } from "../../../src/training/rounding/learned-rounding.ts";
import { LEARNING_DEFAULTS, type LearningSettings } from "../../../src/training/rounding/learning-settings.ts";
import { randomSource, type Shape, smallSpec } from "../../runtime/random-model.ts";
import { executorsOf } from "../../runtime/test-executors.ts";

const sequences = Array.from({ length: 9 }, (_, i) =>
  Int32Array.from({ length: 24 }, (_, at) => (i * 7 + at * at) % 37),
);
const settings = { ...LEARNING_DEFAULTS, iterations: 16, batchTokens: 48, evaluateEvery: 2 };
/** Where only the bytes count, not how good they are. */
const short = { ...settings, iterations: 3, evaluateEvery: 3 };
const createExecutor = executorsOf("tfjs", "streamed");
const key = { checkpointId: "c", calibrationId: "t", quantizer: "gptq", plan: null };

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "rounding-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Refining {
  readonly settings?: LearningSettings;
  readonly name?: string;
  readonly seed?: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** A model's library at one codec, and libraries of its plan with learned rounding. */
async function planOf(shape: Shape, codecs: (id: string) => CodecId) {
  const source = randomSource(smallSpec({ hiddenSize: 32, ffn: 64, headDim: 8, ...shape }));
  const common = { source, quantizer: "gptq", sequences, createExecutor, maths: plainMaths } as const;
  const codecsOf = (id: string) => [codecs(id)];
  const library = new MatrixLibrary(folder, key);
  await buildLibrary(library, { ...common, codecsOf });

  async function learned({ name = "p", seed = 1, settings: by = settings, ...work }: Refining = {}) {
    const found: Learned[] = [];
    const plan = new MatrixLibrary(folder, { ...key, plan: name });
    const refiner = await openLearnedRounding({
      ...{ ...common, settings: by, seed, ...work },
      onBlock: (_, one) => found.push(one),
    });
    try {
      await buildLibrary(plan, { ...common, ...work, codecsOf, sequentialFrom: library, refiner });
    } finally {
      await refiner.close();
    }
    const assignment = new Map(matricesOf(source.spec).map(({ id }) => [id, codecs(id)]));
    return { found, under: plan.under(source, assignment) };
  }

  return { source, learned };
}

/** All numbers of a model as they are stored. */
async function contentsOf(source: WeightSource): Promise<Map<string, unknown>> {
  const contents = new Map<string, unknown>();
  for (const { id } of matricesOf(source.spec)) contents.set(id, await source.readMatrix(id));
  for (const { id } of vectorsOf(source.spec)) contents.set(id, await source.readVector(id));
  return contents;
}

describe("learned rounding", () => {
  it.each<[string, Shape]>([
    ["gated", {}],
    ["plain, biases", { gated: false, norm: "layer", bias: true, activation: "gelu-erf" }],
    ["parallel", { residual: "parallel", sharedNorm: true, gated: false, norm: "layer" }],
  ])("lowers the held-out loss of every block and changes what is stored: %s", async (_, shape) => {
    const { source, learned } = await planOf(shape, () => "q3t-g32-s8");
    const { found, under } = await learned();
    expect(found.length).toBe(source.spec.blocks.length);
    for (const { lossBefore, loss } of found) expect(loss).toBeLessThan(lossBefore);
    expect(await under.readVector("blocks.0.attn.norm.weight")).not.toEqual(
      await source.readVector("blocks.0.attn.norm.weight"),
    );
    expect(await under.readVector("finalNorm.weight")).toEqual(await source.readVector("finalNorm.weight"));
  });

  it("gives the same bytes for the same seed, others for another", async () => {
    const { learned } = await planOf({}, () => "q2t-g32-s8");
    const first = await contentsOf((await learned({ name: "a" })).under);
    expect(await contentsOf((await learned({ name: "b" })).under)).toEqual(first);
    expect(await contentsOf((await learned({ name: "c", seed: 2 })).under)).not.toEqual(first);
  });

  it("goes on where it was stopped, to the same bytes", async () => {
    const { learned } = await planOf({}, () => "q3t-g32-s8");
    const whole = await contentsOf((await learned({ name: "whole", settings: short })).under);
    const files = readdirSync(folder).length;
    const stop = new AbortController();
    // As a signal comes: the work must listen between its steps.
    const onProgress: OnProgress = ({ done }) => done === short.iterations + 1 && setImmediate(() => stop.abort());
    await expect(learned({ name: "stopped", settings: short, signal: stop.signal, onProgress })).rejects.toThrow(
      Interrupted,
    );
    // Embedding and head, the first block's matrices and its vectors.
    expect(readdirSync(folder).length).toBe(files + 2 + 7 + 1);
    const { found, under } = await learned({ name: "stopped", settings: short });
    expect(found.length).toBe(1);
    expect(await contentsOf(under)).toEqual(whole);
  });

  it("leaves matrices of 8 bits as they are, and blocks of them alone", async () => {
    const { source, learned } = await planOf({}, (id) => (id.startsWith("blocks.1.") ? "q8s-g32" : "q3t-g32-s8"));
    const { found, under } = await learned({ settings: short });
    expect(found.length).toBe(1);
    for (const { id } of vectorsOf(source.spec).filter(({ block }) => block === 1)) {
      expect(await under.readVector(id)).toEqual(await source.readVector(id));
    }
  });
});
