import { type CodecId, codecOf } from "../../src/codecs/index.ts";
import {
  type AttentionSpec,
  type BlockSpec,
  type DecoderSpec,
  type MlpSpec,
  matricesOf,
  type NormSpec,
  vectorsOf,
} from "../../src/model/decoder-spec.ts";
import type { DenseMatrix, Matrix, PackedMatrix, WeightSource } from "../../src/model/weight-source.ts";
import { Random } from "../../src/tensor/random.ts";
import { roundPlainly } from "../codecs/plain-rounding.ts";

/** What a small random model may differ in. */
export interface Shape {
  readonly hiddenSize?: number;
  readonly vocabSize?: number;
  readonly blocks?: number;
  readonly heads?: number;
  readonly kvHeads?: number;
  readonly headDim?: number;
  readonly ffn?: number;
  readonly window?: number | null;
  readonly ropeDims?: number | null;
  readonly norm?: NormSpec["kind"];
  readonly residual?: BlockSpec["residual"];
  readonly sharedNorm?: boolean;
  readonly gated?: boolean;
  readonly activation?: MlpSpec["activation"];
  readonly bias?: boolean;
  /** RMS norms of queries and keys; `all`: over all heads together. */
  readonly qkNorm?: boolean | "all";
  /** Norms around attention and around the MLP. */
  readonly norms?: "pre" | "post" | "both";
  /** Factors on the embedding, on what a block adds, and on the logits. */
  readonly factors?: boolean;
  readonly tied?: boolean;
  readonly headBias?: boolean;
}

export function smallSpec(shape: Shape = {}): DecoderSpec {
  const { hiddenSize = 16, vocabSize = 37, blocks = 2, norm = "rms", tied = false, headBias = false } = shape;
  const normOf = (size: number): NormSpec => ({ kind: norm, size, eps: 1e-5 });
  const { residual = "sequential", sharedNorm = false, norms = "pre", factors = false } = shape;
  const pre = norms === "post" ? null : normOf(hiddenSize);
  const post = norms === "pre" ? null : normOf(hiddenSize);
  const block: BlockSpec = {
    residual,
    residualFactor: factors ? 0.3 : 1,
    attentionNorms: { pre, post },
    attention: attentionSpec(shape, hiddenSize),
    mlpNorms: { pre: sharedNorm ? null : pre, post },
    mlp: mlpSpec(shape, hiddenSize),
  };
  return {
    family: "random",
    vocabSize,
    hiddenSize,
    embeddingScale: factors ? 5 : 1,
    maxPositions: 4096,
    tied,
    headBias,
    logitFactor: factors ? 1 / 7 : 1,
    blocks: Array.from({ length: blocks }, () => block),
    finalNorm: normOf(hiddenSize),
    bosToken: null,
    eosTokens: [],
  };
}

function attentionSpec(shape: Shape, hiddenSize: number): AttentionSpec {
  const { heads = 4, kvHeads = 2, headDim = 4, window = null, ropeDims = 4, bias = false, qkNorm = false } = shape;
  const linear = (rows: number, cols: number) => ({ rows, cols, bias });
  const headNorm = (count: number): NormSpec | null =>
    qkNorm ? { kind: "rms", size: qkNorm === "all" ? count * headDim : headDim, eps: 1e-6 } : null;
  return {
    heads,
    kvHeads,
    headDim,
    scale: 1 / Math.sqrt(headDim),
    window,
    rope: ropeDims === null ? null : { dims: ropeDims, theta: 100, scaling: { kind: "none" } },
    qNorm: headNorm(heads),
    kNorm: headNorm(kvHeads),
    q: linear(heads * headDim, hiddenSize),
    k: linear(kvHeads * headDim, hiddenSize),
    v: linear(kvHeads * headDim, hiddenSize),
    o: linear(hiddenSize, heads * headDim),
  };
}

function mlpSpec({ ffn = 24, gated = true, activation = "silu", bias = false }: Shape, hiddenSize: number): MlpSpec {
  const inner = { rows: ffn, cols: hiddenSize, bias };
  return { activation, gate: gated ? inner : null, up: inner, down: { rows: hiddenSize, cols: ffn, bias } };
}

/** A weight source that counts what is read of it. */
export interface CountingSource extends WeightSource {
  /** Ids passed to readMatrix, in order. */
  readonly reads: string[];
}

/** Dense random weights: matrices of variance 1 / inputs, norm weights about 1, small biases. */
export function randomSource(spec: DecoderSpec, seed = 1): CountingSource {
  const random = new Random(seed);
  const normals = (name: string, length: number, scale: number, mean = 0) => {
    const stream = random.fork(name);
    return Float32Array.from({ length }, () => mean + scale * stream.nextNormal());
  };
  const matrices = new Map(
    matricesOf(spec).map(({ id, rows, cols }): [string, DenseMatrix] => [
      id,
      { kind: "dense", rows, cols, data: normals(id, rows * cols, 1 / Math.sqrt(cols)) },
    ]),
  );
  const vectors = new Map(
    vectorsOf(spec).map(({ id, length }) => [id, normals(id, length, 0.1, id.endsWith("orm.weight") ? 1 : 0)]),
  );
  return sourceOf(spec, matrices, vectors);
}

/** The same model with every matrix packed by a codec. */
export async function packedSource(source: WeightSource, codec: CodecId): Promise<CountingSource> {
  const matrices = new Map<string, Matrix>();
  for (const { id } of matricesOf(source.spec)) matrices.set(id, packRounded(await source.readMatrix(id), codec));
  return sourceOf(source.spec, matrices, await vectorsFrom(source));
}

/** The numbers of a packed model, dense. */
export async function unpackedSource(source: WeightSource): Promise<CountingSource> {
  const matrices = new Map<string, Matrix>();
  for (const { id, rows, cols } of matricesOf(source.spec)) {
    matrices.set(id, { kind: "dense", rows, cols, data: await source.readRows(id, 0, rows) });
  }
  return sourceOf(source.spec, matrices, await vectorsFrom(source));
}

/** Packs by rounding to the nearest code under the largest number of each group. */
export function packRounded(matrix: Matrix, id: CodecId): PackedMatrix {
  if (matrix.kind === "packed") return matrix;
  const { rows, cols, data } = matrix;
  const codec = codecOf(id);
  return { kind: "packed", codec: id, rows, cols, bytes: codec.pack(roundPlainly(codec, data, rows, cols)) };
}

async function vectorsFrom(source: WeightSource): Promise<Map<string, Float32Array>> {
  const vectors = new Map<string, Float32Array>();
  for (const { id } of vectorsOf(source.spec)) vectors.set(id, await source.readVector(id));
  return vectors;
}

function sourceOf(
  spec: DecoderSpec,
  matrices: Map<string, Matrix>,
  vectors: Map<string, Float32Array>,
): CountingSource {
  const reads: string[] = [];
  const find = <T>(map: Map<string, T>, id: string): T => {
    const found = map.get(id);
    if (found === undefined) throw new Error(`no ${id}`);
    return found;
  };
  return {
    spec,
    label: "random",
    reads,
    readMatrix: async (id) => {
      reads.push(id);
      return find(matrices, id);
    },
    readRows: async (id, from, to) => {
      const matrix = find(matrices, id);
      if (matrix.kind === "packed") return codecOf(matrix.codec).unpackRows(matrix, from, to);
      return matrix.data.slice(from * matrix.cols, to * matrix.cols);
    },
    readVector: async (id) => find(vectors, id),
    close: async () => {},
  };
}
