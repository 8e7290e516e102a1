import * as tf from "@tensorflow/tfjs-core";
import type { Codec } from "../../codecs/codec.ts";
import { codecOf } from "../../codecs/index.ts";
import { headMatrixId } from "../../model/decoder-spec.ts";
import type { Matrix, PackedMatrix, WeightSource } from "../../model/weight-source.ts";
import { PROMPT_CHUNK_ROWS } from "../../model/workspace.ts";
import type { Residency } from "../executor-info.ts";
import type { ExitTail } from "../heads.ts";
import { denseTensor } from "./load-weights.ts";
import { packedProducts } from "./packed-matmul.ts";

/** Multiplies normed hidden states with the output head or an exit head, in pieces of bounded size. */
export interface Head {
  /** Logits that it gives of a row. */
  readonly rows: number;
  /** x [rows, hiddenSize] -> [rows, logits], in `into` where it has that length. */
  logits(x: tf.Tensor2D, into?: Float32Array): Promise<Float32Array>;
  dispose(): void;
}

/**
 * Rows [from, to) of the head as a tensor [hiddenSize, to - from]. One that is not a promise lies over the scratch
 * array: it is used and disposed of before anything is waited for, since other passes write the same array.
 */
type ReadTile = (from: number, to: number) => tf.Tensor2D | Promise<tf.Tensor2D>;

/** Opens the output head as `residency` says; `bias`: of readOutputVectors; `scratch` bounds a tile of it. */
export async function openOutputHead(
  source: WeightSource,
  bias: Float32Array | null,
  residency: Residency,
  scratch: Float32Array,
): Promise<Head> {
  const { spec } = source;
  const id = headMatrixId(spec);
  const matrix = residency === "streamed" ? null : await source.readMatrix(id);
  if (matrix && residency === "resident") return residentHead(denseTensor(matrix), bias, scratch.length);
  if (matrix?.kind === "packed") return packedHead(matrix, bias, scratch);
  return tiledHead({ rows: spec.vocabSize, cols: spec.hiddenSize }, bias, scratch, async (from, to) =>
    denseTensor({
      kind: "dense",
      rows: to - from,
      cols: spec.hiddenSize,
      data: await source.readRows(id, from, to),
    }),
  );
}

/** A head of a matrix in memory. */
export function headOf(matrix: Matrix, bias: Float32Array | null, scratch: Float32Array): Head {
  return matrix.kind === "packed"
    ? packedHead(matrix, bias, scratch)
    : residentHead(denseTensor(matrix), bias, scratch.length);
}

/** A head with one more logit a row, behind the others. */
export function withTail(head: Head, { weight, bias }: ExitTail): Head {
  const column = tf.tensor2d(weight.slice(), [weight.length, 1]);
  const rows = head.rows + 1;
  return {
    rows,
    async logits(x, into) {
      const logits = resultArray(x.shape[0] * rows, into);
      const [given, last] = [await head.logits(x), productOf(tf.clone(x), column)];
      for (let row = 0; row < x.shape[0]; row++) {
        logits.set(given.subarray(row * head.rows, (row + 1) * head.rows), row * rows);
        logits[row * rows + head.rows] = last[row] + bias;
      }
      return logits;
    },
    dispose() {
      head.dispose();
      column.dispose();
    },
  };
}

/** By the addon, straight into the result, where it multiplies; else a tile at a time. */
function packedHead(matrix: PackedMatrix, bias: Float32Array | null, scratch: Float32Array): Head {
  const tiled = tiledHead(matrix, bias, scratch, packedTiles(matrix, codecOf(matrix.codec), scratch));
  return {
    ...tiled,
    async logits(x, into) {
      const { multiplyInto } = packedProducts();
      if (!multiplyInto) return tiled.logits(x, into);
      const logits = resultArray(x.shape[0] * matrix.rows, into);
      multiplyInto(x, matrix, logits);
      return withBias(logits, bias);
    },
  };
}

function tiledHead(
  { rows, cols }: { rows: number; cols: number },
  bias: Float32Array | null,
  scratch: Float32Array,
  readTile: ReadTile,
): Head {
  const tileRows = Math.max(1, Math.floor(scratch.length / cols));
  return {
    rows,
    logits: async (x, into) =>
      withBias(await tiledLogits(x, { rows, tileRows, readTile }, resultArray(x.shape[0] * rows, into)), bias),
    dispose: () => {},
  };
}

/** The whole head as a tensor [hiddenSize, ids]; the hidden states pass a few rows at a time. */
function residentHead(weights: tf.Tensor2D, bias: Float32Array | null, pieceLength: number): Head {
  const ids = weights.shape[1];
  const step = Math.max(1, Math.floor(pieceLength / ids));
  return {
    rows: ids,
    logits: async (x, into) => {
      const logits = resultArray(x.shape[0] * ids, into);
      for (let row = 0; row < x.shape[0]; row += step) logits.set(productOf(rowsOf(x, row, step), weights), row * ids);
      return withBias(logits, bias);
    },
    dispose: () => weights.dispose(),
  };
}

function packedTiles(matrix: PackedMatrix, codec: Codec, scratch: Float32Array): ReadTile {
  return (from, to) => {
    const expanded = scratch.subarray(0, matrix.cols * (to - from));
    return tf.tensor2d(codec.unpackTransposed(matrix, from, to, expanded), [matrix.cols, to - from]);
  };
}

/** Tile after tile of the head against all rows, written where it belongs. */
async function tiledLogits(
  x: tf.Tensor2D,
  { rows: ids, tileRows, readTile }: { rows: number; tileRows: number; readTile: ReadTile },
  logits: Float32Array,
): Promise<Float32Array> {
  const rows = x.shape[0];
  for (let from = 0; from < ids; from += tileRows) {
    const to = Math.min(ids, from + tileRows);
    const tile = readTile(from, to);
    const weights = tile instanceof Promise ? await tile : tile;
    for (let row = 0; row < rows; row += PROMPT_CHUNK_ROWS) {
      const piece = productOf(rowsOf(x, row, PROMPT_CHUNK_ROWS), weights);
      for (let i = 0; i * (to - from) < piece.length; i++) {
        logits.set(piece.subarray(i * (to - from), (i + 1) * (to - from)), (row + i) * ids + from);
      }
    }
    weights.dispose();
  }
  return logits;
}

/** Up to `count` rows from `row` on: a tensor of its own. */
function rowsOf(x: tf.Tensor2D, row: number, count: number): tf.Tensor2D {
  return tf.slice(x, [row, 0], [Math.min(count, x.shape[0] - row), x.shape[1]]);
}

/** The numbers of x times weights; disposes of x. */
function productOf(x: tf.Tensor2D, weights: tf.Tensor2D): Float32Array {
  const product = tf.matMul(x, weights);
  const numbers = product.dataSync<"float32">();
  product.dispose();
  x.dispose();
  return numbers;
}

function resultArray(length: number, into: Float32Array | undefined): Float32Array {
  return into?.length === length ? into : new Float32Array(length);
}

function withBias(logits: Float32Array, bias: Float32Array | null): Float32Array {
  if (bias) for (let i = 0; i < logits.length; i++) logits[i] += bias[i % bias.length];
  return logits;
}
