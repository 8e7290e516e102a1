import { readFileSync } from "node:fs";
import path from "node:path";
import { sha256Of } from "../../src/artifact/content-hash.ts";
import type { Plan } from "../../src/artifact/plan.ts";
import type { ArtifactParts } from "../../src/artifact/writer.ts";
import { CODECS, codecIdOf } from "../../src/codecs/index.ts";
import {
  type AttentionSpec,
  type BlockSpec,
  type DecoderSpec,
  type MlpSpec,
  matricesOf,
  vectorsOf,
} from "../../src/model/decoder-spec.ts";
import { layoutMemory } from "../../src/model/memory.ts";
import { MAX_FILE_BYTES, packedLayout } from "../../src/model/packed-layout.ts";
import type { WeightSource } from "../../src/model/weight-source.ts";
import { Random } from "../../src/tensor/random.ts";

const HIDDEN = 48;
const norm = { kind: "rms", size: HIDDEN, eps: 1e-5 } as const;
const linear = (rows: number, cols: number, bias = false) => ({ rows, cols, bias });

const attention: AttentionSpec = {
  heads: 4,
  kvHeads: 2,
  headDim: 12,
  scale: 12 ** -0.5,
  window: null,
  rope: { dims: 12, theta: 10000, scaling: { kind: "none" } },
  qNorm: { kind: "rms", size: 12, eps: 1e-6 },
  kNorm: { kind: "rms", size: 12, eps: 1e-6 },
  q: linear(48, HIDDEN, true),
  k: linear(24, HIDDEN, true),
  v: linear(24, HIDDEN, true),
  o: linear(HIDDEN, 48),
};
const mlp: MlpSpec = {
  activation: "silu",
  gate: linear(72, HIDDEN),
  up: linear(72, HIDDEN),
  down: linear(HIDDEN, 72),
};
const whole: BlockSpec = {
  residual: "sequential",
  residualFactor: 1,
  attentionNorms: { pre: norm, post: null },
  attention,
  mlpNorms: { pre: norm, post: null },
  mlp,
};

/** A made-up model: odd shapes, biases, q/k norms, a window, a block without an MLP and one without attention. */
export function tinySpec(tied: boolean): DecoderSpec {
  return {
    family: "tiny",
    vocabSize: 83,
    hiddenSize: HIDDEN,
    embeddingScale: 1,
    maxPositions: 256,
    tied,
    headBias: !tied,
    logitFactor: 1,
    blocks: [
      whole,
      { ...whole, attention: { ...attention, window: 100 } },
      { ...whole, mlpNorms: { pre: null, post: null }, mlp: null },
      { ...whole, attentionNorms: { pre: null, post: null }, attention: null, mlp: { ...mlp, gate: null } },
    ],
    finalNorm: { kind: "layer", size: HIDDEN, eps: 1e-5 },
    bosToken: 1,
    eosTokens: [2],
  };
}

/** Its weights: sums of three uniform numbers, which need no logarithm and so are the same on every machine. */
export function tinySource(spec: DecoderSpec): WeightSource {
  const shapes = new Map(matricesOf(spec).map(({ id, rows, cols }) => [id, { rows, cols }]));
  const lengths = new Map(vectorsOf(spec).map(({ id, length }) => [id, length]));
  const drawn = new Map<string, Float32Array>();
  const draw = (id: string, length: number) => {
    const random = new Random(7).fork(id);
    const numbers =
      drawn.get(id) ?? Float32Array.from({ length }, () => (random.next() + random.next() + random.next() - 1.5) * 0.2);
    drawn.set(id, numbers);
    return numbers.slice();
  };
  const matrix = (id: string) => {
    const shape = shapes.get(id);
    if (!shape) throw new Error(`no matrix ${id}`);
    return { kind: "dense" as const, ...shape, data: draw(id, shape.rows * shape.cols) };
  };
  return {
    spec,
    label: "tiny",
    readMatrix: async (id) => matrix(id),
    readRows: async (id, from, to) => {
      const { cols, data } = matrix(id);
      return data.slice(from * cols, to * cols);
    },
    readVector: async (id) => draw(id, lengths.get(id) ?? 0),
    close: async () => {},
  };
}

const CYCLE = ["q4s-g32", "q8s-row", "f16", "q4a-g64", "q3s-g32", "bf16", "q5a-row", "f32", "q2s-g128", "q6a-g32"];

/** A plan with many codecs: a cycle through `codecs` in execution order. */
export function tinyPlan(spec: DecoderSpec, codecs: readonly string[] = CYCLE, maxFileBytes = MAX_FILE_BYTES): Plan {
  const assignment = new Map(matricesOf(spec).map(({ id }, i) => [id, codecIdOf(codecs[i % codecs.length])]));
  const memory = layoutMemory(spec, packedLayout(spec, assignment, maxFileBytes), {
    contextTokens: 128,
    kvType: "f16",
    residency: "packed",
    runtimeBaseBytes: 1000,
    budgetCovers: "model",
  });
  return {
    formatVersion: 1,
    allocator: "uniform",
    scorer: null,
    budgetBytes: null,
    units: matricesOf(spec).map(({ id, rows, cols }) => {
      const codec = assignment.get(id) ?? "f32";
      return { id, codec, bytes: CODECS[codec].packedBytes(rows, cols), rule: null };
    }),
    memory,
    predictedLoss: null,
    importanceLowered: null,
  };
}

/** The rest of a manifest; `folder` holds the tokenizer's files. */
export function tinyParts(folder: string, files: readonly string[]): ArtifactParts {
  const records = files.map((name) => ({ name, sha256: sha256Of(readFileSync(path.join(folder, name))) }));
  return {
    tokenizer: { folder, files: records },
    provenance: {
      toolVersion: "0.0.0-test",
      source: { id: "tiny", files: [] },
      calibrationId: null,
      scorer: null,
      quantizer: "nearest",
      recipe: { name: "tiny" },
      seed: 7,
    },
  };
}
