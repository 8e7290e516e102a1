import { type DecoderSpec, matricesOf, vectorsOf } from "../../src/model/decoder-spec.ts";
import type { WeightSource } from "../../src/model/weight-source.ts";
import { Random } from "../../src/tensor/random.ts";

const linear = (rows: number, cols: number) => ({ rows, cols, bias: false });
const norm = (size: number) => ({ kind: "rms" as const, size, eps: 1e-5 });

/** A Llama of a few thousand random weights. */
export function tinySpec(blocks: number, tied = false): DecoderSpec {
  const rope = { dims: 16, theta: 10000, scaling: { kind: "none" as const } };
  const shape = { q: linear(32, 32), k: linear(16, 32), v: linear(16, 32), o: linear(32, 32) };
  return {
    family: "llama",
    vocabSize: 96,
    hiddenSize: 32,
    embeddingScale: 1,
    maxPositions: 64,
    tied,
    headBias: false,
    logitFactor: 1,
    blocks: Array.from({ length: blocks }, () => ({
      residual: "sequential",
      residualFactor: 1,
      attentionNorms: { pre: norm(32), post: null },
      attention: {
        heads: 2,
        kvHeads: 1,
        headDim: 16,
        scale: 0.25,
        window: null,
        rope,
        qNorm: null,
        kNorm: null,
        ...shape,
      },
      mlpNorms: { pre: norm(32), post: null },
      mlp: { activation: "silu", gate: linear(48, 32), up: linear(48, 32), down: linear(32, 48) },
    })),
    finalNorm: norm(32),
    bosToken: null,
    eosTokens: [],
  };
}

/** What is done to a matrix after it was drawn; by id. */
export type Damage = (id: string, data: Float32Array) => void;

/** Random weights for a spec, the same for the same seed. */
export function randomSource(
  spec: DecoderSpec,
  seed: number,
  damage: Damage = () => {},
): WeightSource & { reads: string[] } {
  const weights = new Map<string, Float32Array>();
  const shapes = new Map(matricesOf(spec).map((matrix) => [matrix.id, matrix]));
  for (const { id, rows, cols } of shapes.values()) {
    const random = new Random(seed).fork(id);
    const scale = id === "embedding" ? 1 : 0.5 / Math.sqrt(cols);
    const data = Float32Array.from({ length: rows * cols }, () => scale * random.nextNormal());
    damage(id, data);
    weights.set(id, data);
  }
  for (const { id, length } of vectorsOf(spec)) weights.set(id, new Float32Array(length).fill(1));
  const reads: string[] = [];
  const get = (id: string) => {
    const data = weights.get(id);
    const shape = shapes.get(id);
    if (!data) throw new Error(`no weights ${id}`);
    return { data, rows: shape?.rows ?? 1, cols: shape?.cols ?? data.length };
  };
  return {
    spec,
    label: "random",
    reads,
    readMatrix: async (id) => {
      reads.push(id);
      const { rows, cols, data } = get(id);
      return { kind: "dense", rows, cols, data: data.slice() };
    },
    readRows: async (id, from, to) => get(id).data.slice(from * get(id).cols, to * get(id).cols),
    readVector: async (id) => get(id).data.slice(),
    close: async () => {},
  };
}

/** Random sequences of ids. */
export function randomSequences(count: number, length: number, vocabSize: number, seed: number): Int32Array[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => Int32Array.from({ length }, () => random.nextInt(vocabSize)));
}
