import type { AttentionSpec } from "../../../model/decoder-spec.ts";
import { exponentials } from "./exponentials.ts";
import type { PassTools } from "./linear-passes.ts";

/** Rows of queries whose scores are in memory at a time. */
const TILE = 256;

/** Queries [rows, heads, headDim], keys and values [rows, kvHeads, headDim], rotated. */
export interface HeadRows {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
}

/**
 * What attention gave: mixed values [rows, heads, headDim], and the log-sum-exp of every row's scores [rows, heads].
 */
export interface Attended {
  readonly mixed: Float32Array;
  readonly logSums: Float32Array;
}

/** Rows [row, row + rows) of one query head, and the keys [key, key + keys) that any of them sees. */
interface Tile {
  readonly head: number;
  readonly kvHead: number;
  readonly row: number;
  readonly rows: number;
  readonly key: number;
  readonly keys: number;
}

/** Causal attention among the rows of one sequence; scores are never held but for a tile of rows of one head. */
export async function attendForward(tools: PassTools, spec: AttentionSpec, heads: HeadRows): Promise<Attended> {
  const { maths, buffers, rows } = tools;
  const mixed = buffers.take(rows, spec.heads * spec.headDim);
  const logSums = buffers.take(rows, spec.heads);
  const scratch = buffers.take(rows, TILE);
  for (const tile of tilesOf(spec, rows)) {
    const weights = await scoresOf(tools, spec, { tile, heads, scratch });
    softmax(weights, tile, spec, logSums);
    const [width, kvWidth] = [spec.heads * spec.headDim, spec.kvHeads * spec.headDim];
    await maths.multiply({
      ...{ a: weights, b: part(heads.v, kvWidth, tile.kvHead * spec.headDim, tile.key, tile.keys, spec.headDim) },
      ...{ c: part(mixed, width, tile.head * spec.headDim, tile.row, tile.rows, spec.headDim) },
      ...{ rows: tile.rows, cols: spec.headDim, depth: tile.keys, strideB: kvWidth, strideC: width },
    });
  }
  buffers.release(scratch);
  return { mixed, logSums };
}

/**
 * Adds to dq, dk and dv what passes back through {@link attendForward}. With P the weights and D = dO . O of a row: dV
 * = P^T dO, dS = P (dO V^T - D), dQ = scale dS K, dK = scale dS^T Q; P is computed again from the scores.
 */
export async function attendBackward(
  tools: PassTools,
  spec: AttentionSpec,
  {
    heads,
    attended,
    dMixed,
    to,
  }: {
    readonly heads: HeadRows;
    readonly attended: Attended;
    /** [rows, heads, headDim] */
    readonly dMixed: Float32Array;
    /** Shaped as `heads`. */
    readonly to: HeadRows;
  },
): Promise<void> {
  const { maths, buffers, rows } = tools;
  const { headDim, scale } = spec;
  const [width, kvWidth] = [spec.heads * headDim, spec.kvHeads * headDim];
  const [scratch, slopes] = [buffers.take(rows, TILE), buffers.take(rows, TILE)];
  for (const tile of tilesOf(spec, rows)) {
    const weights = await scoresOf(tools, spec, { tile, heads, scratch });
    weightsAgain(weights, tile, spec, attended.logSums);
    const ofQueries = (x: Float32Array) => part(x, width, tile.head * headDim, tile.row, tile.rows, headDim);
    const ofKeys = (x: Float32Array) => part(x, kvWidth, tile.kvHead * headDim, tile.key, tile.keys, headDim);
    const dOut = ofQueries(dMixed);
    await maths.multiply({
      ...{ a: weights, b: dOut, c: ofKeys(to.v), rows: tile.keys, cols: headDim, depth: tile.rows },
      ...{ transposedA: true, accumulate: true, strideB: width, strideC: kvWidth },
    });
    const dScores = slopes.subarray(0, tile.rows * tile.keys);
    await maths.multiply({
      ...{ a: dOut, b: ofKeys(heads.v), c: dScores, rows: tile.rows, cols: tile.keys, depth: headDim },
      ...{ transposedB: true, strideA: width, strideB: kvWidth },
    });
    const out = ofQueries(attended.mixed);
    for (let row = 0; row < tile.rows; row++) {
      let along = 0;
      for (let i = 0; i < headDim; i++) along += dOut[row * width + i] * out[row * width + i];
      const end = (row + 1) * tile.keys;
      for (let i = row * tile.keys; i < end; i++) dScores[i] = scale * weights[i] * (dScores[i] - along);
    }
    await maths.multiply({
      ...{ a: dScores, b: ofKeys(heads.k), c: ofQueries(to.q), rows: tile.rows, cols: headDim, depth: tile.keys },
      ...{ accumulate: true, strideB: kvWidth, strideC: width },
    });
    await maths.multiply({
      ...{ a: dScores, b: ofQueries(heads.q), c: ofKeys(to.k), rows: tile.keys, cols: headDim, depth: tile.rows },
      ...{ transposedA: true, accumulate: true, strideB: width, strideC: kvWidth },
    });
  }
  buffers.release(scratch);
  buffers.release(slopes);
}

/** Head by head, rows in tiles. */
function* tilesOf({ heads, kvHeads, window }: AttentionSpec, rows: number): Generator<Tile> {
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < rows; row += TILE) {
      const count = Math.min(TILE, rows - row);
      const key = window === null ? 0 : Math.max(0, row - window + 1);
      yield { head, kvHead: Math.floor((head * kvHeads) / heads), row, rows: count, key, keys: row + count - key };
    }
  }
}

/** Columns [col, col + width) of rows [row, row + rows) of x [.., stride], from the first number to the last. */
function part(x: Float32Array, stride: number, col: number, row: number, rows: number, width: number): Float32Array {
  return x.subarray(row * stride + col, (row + rows - 1) * stride + col + width);
}

/** q k^T of a tile, [rows, keys], not scaled. */
async function scoresOf(
  { maths }: PassTools,
  { heads: count, kvHeads, headDim }: AttentionSpec,
  { tile, heads, scratch }: { readonly tile: Tile; readonly heads: HeadRows; readonly scratch: Float32Array },
): Promise<Float32Array> {
  const [width, kvWidth] = [count * headDim, kvHeads * headDim];
  const scores = scratch.subarray(0, tile.rows * tile.keys);
  await maths.multiply({
    ...{ a: part(heads.q, width, tile.head * headDim, tile.row, tile.rows, headDim) },
    ...{ b: part(heads.k, kvWidth, tile.kvHead * headDim, tile.key, tile.keys, headDim) },
    ...{ c: scores, rows: tile.rows, cols: tile.keys, depth: headDim },
    ...{ transposedB: true, strideA: width, strideB: kvWidth },
  });
  return scores;
}

/** Keys [from, to) of the tile that its row sees. */
function seenBy({ row, key }: Tile, offset: number, window: number | null): [from: number, to: number] {
  const to = row + offset + 1 - key;
  return [window === null ? 0 : Math.max(0, to - window), to];
}

/** Scores to weights in place, row by row; keys that a row does not see get 0. */
function softmax(scores: Float32Array, tile: Tile, { scale, window, heads }: AttentionSpec, logSums: Float32Array) {
  for (let row = 0; row < tile.rows; row++) {
    const [from, to] = seenBy(tile, row, window);
    const at = row * tile.keys;
    let largest = Number.NEGATIVE_INFINITY;
    for (let i = at + from; i < at + to; i++) {
      scores[i] *= scale;
      if (scores[i] > largest) largest = scores[i];
    }
    const sum = exponentials(scores, at + from, at + to, largest);
    for (let i = at + from; i < at + to; i++) scores[i] /= sum;
    scores.fill(0, at, at + from);
    scores.fill(0, at + to, at + tile.keys);
    logSums[(tile.row + row) * heads + tile.head] = largest + Math.log(sum);
  }
}

/** The same weights by the sums that are known. */
function weightsAgain(
  scores: Float32Array,
  tile: Tile,
  { scale, window, heads }: AttentionSpec,
  logSums: Float32Array,
) {
  for (let row = 0; row < tile.rows; row++) {
    const [from, to] = seenBy(tile, row, window);
    const at = row * tile.keys;
    for (let i = at + from; i < at + to; i++) scores[i] *= scale;
    exponentials(scores, at + from, at + to, logSums[(tile.row + row) * heads + tile.head]);
    scores.fill(0, at, at + from);
    scores.fill(0, at + to, at + tile.keys);
  }
}
