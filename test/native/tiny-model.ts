import type {
  NativeBlock,
  NativeCache,
  NativeContext,
  NativeEngine,
  NativeHead,
  NativeMatrix,
  NativeModel,
  NativeModelShape,
  NativeNorm,
  NativePass,
} from "../../src/native/addon.ts";
import { codecNamed, nativeMatrix, normals } from "./engines.ts";

/** Sizes of the tiny model: 2 blocks, 4 heads on 2 key/value heads of 8. */
export const TINY = { hidden: 32, vocab: 50, ffn: 48, heads: 4, kvHeads: 2, headDim: 8, blocks: 2 } as const;

export const TINY_SHAPE: NativeModelShape = {
  vocabSize: TINY.vocab,
  hiddenSize: TINY.hidden,
  blocks: Array.from({ length: TINY.blocks }, () => ({ kvHeads: TINY.kvHeads, headDim: TINY.headDim })),
};

export function randomMatrix(rows: number, cols: number, name = "w"): NativeMatrix {
  const f32 = codecNamed("f32");
  const values = normals(rows * cols, name, 1 / Math.sqrt(cols));
  return nativeMatrix(f32, rows, cols, f32.pack({ kind: "float", rows, cols, values }));
}

export const tinyNorm = (): NativeNorm => ({
  kind: "rms",
  eps: 1e-5,
  weight: new Float32Array(TINY.hidden).fill(1),
  bias: null,
});

export function tinyBlock(): NativeBlock {
  const { hidden, ffn, heads, kvHeads, headDim } = TINY;
  const linear = (rows: number, cols: number, name: string) => ({ matrix: randomMatrix(rows, cols, name), bias: null });
  return {
    parallel: false,
    attentionNorm: tinyNorm(),
    attention: {
      heads,
      kvHeads,
      headDim,
      scale: headDim ** -0.5,
      window: 0,
      rope: {
        dims: headDim,
        inverseFrequencies: Float64Array.of(1, 0.3, 0.1, 0.03),
        longInverseFrequencies: null,
        originalMaxPositions: 2048,
        attentionFactor: 1,
      },
      qNorm: null,
      kNorm: null,
      q: linear(heads * headDim, hidden, "q"),
      k: linear(kvHeads * headDim, hidden, "k"),
      v: linear(kvHeads * headDim, hidden, "v"),
      o: linear(hidden, heads * headDim, "o"),
    },
    mlpNorm: tinyNorm(),
    mlp: {
      activation: "silu",
      gate: linear(ffn, hidden, "gate"),
      up: linear(ffn, hidden, "up"),
      down: linear(hidden, ffn, "down"),
    },
  };
}

export const tinyHead = (): NativeHead => ({
  norm: tinyNorm(),
  linear: { matrix: randomMatrix(TINY.vocab, TINY.hidden, "head"), bias: null },
});

/** A loaded model with a context and a cache of 100 tokens. */
export interface TinyModel {
  readonly model: NativeModel;
  readonly context: NativeContext;
  readonly cache: NativeCache;
}

export function tinyModel(engine: NativeEngine): TinyModel {
  const model = engine.createModel(TINY_SHAPE);
  model.setEmbedding(randomMatrix(TINY.vocab, TINY.hidden, "embedding"));
  for (let block = 0; block < TINY.blocks; block++) model.setBlock(block, tinyBlock());
  model.setHead("output", tinyHead());
  const context = engine.createContext({ activations: "int8" });
  return { model, context, cache: model.createCache({ maxTokens: 100, kvType: "f16" }) };
}

/** A pass of `rows` rows through all blocks. */
export function tinyPass(cache: NativeCache | null, rows = 3, position = 0): NativePass {
  return {
    input: normals(rows * TINY.hidden, "input"),
    output: new Float32Array(rows * TINY.hidden),
    rows,
    from: 0,
    to: TINY.blocks,
    spans: [{ cache, position, count: rows }],
    skipAttention: null,
    skipMlp: null,
    adapter: null,
  };
}

export const tinyLogits = (rows: readonly number[] = [0]) => ({
  input: normals(3 * TINY.hidden, "hidden"),
  rows: Int32Array.from(rows),
  head: "output",
  norm: true,
  output: new Float32Array(rows.length * TINY.vocab),
});
