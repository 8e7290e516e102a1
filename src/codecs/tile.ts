import { type PackedShape, TILE_ALIGN, TILE_ROWS } from "./codec.ts";

/** Smallest multiple of `step` that is at least `n`. */
export function roundUp(n: number, step: number): number {
  return Math.ceil(n / step) * step;
}

/** Tiles of a matrix with that many rows. */
export function tilesOf(rows: number): number {
  return Math.ceil(rows / TILE_ROWS);
}

/** Bytes of one tile holding `contentBytes`. */
export function tileStride(contentBytes: number): number {
  return roundUp(contentBytes, TILE_ALIGN);
}

/** Throws a RangeError unless rows and cols are positive integers. */
export function checkShape(id: string, rows: number, cols: number): void {
  if (!Number.isSafeInteger(rows) || !Number.isSafeInteger(cols) || rows < 1 || cols < 1) {
    throw new RangeError(`${id}: expected a shape of positive integers, found ${rows} x ${cols}`);
  }
}

/** Throws a RangeError when an array has not the length that its shape asks for. */
export function checkLength(what: string, found: number, expected: number): void {
  if (found !== expected) throw new RangeError(`${what}: expected length ${expected}, found ${found}`);
}

/** Rows [from, to) of one tile: the tile's number, its rows taken [rowFrom, rowTo), and their place in the result. */
export interface TileSpan {
  readonly tile: number;
  readonly rowFrom: number;
  readonly rowTo: number;
  /** Row of the result that `rowFrom` goes to. */
  readonly target: number;
}

/** Cuts rows [from, to) at tile boundaries. Throws a RangeError when they are not rows of the matrix. */
export function tileSpans(rows: number, from: number, to: number): TileSpan[] {
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < 0 || to < from || to > rows) {
    throw new RangeError(`rows [${from}, ${to}): expected within 0 … ${rows}`);
  }
  const spans: TileSpan[] = [];
  for (let row = from; row < to; ) {
    const tile = Math.floor(row / TILE_ROWS);
    const rowFrom = row - tile * TILE_ROWS;
    const rowTo = Math.min(TILE_ROWS, to - tile * TILE_ROWS);
    spans.push({ tile, rowFrom, rowTo, target: row - from });
    row += rowTo - rowFrom;
  }
  return spans;
}

/** Room for rows [from, to): `out` when it has the right length, or a new array. */
export function outputOf(out: Float32Array | undefined, length: number): Float32Array {
  if (out) checkLength("output", out.length, length);
  return out ?? new Float32Array(length);
}

/**
 * The bytes of the tiles that rows [from, to) lie in, as an array that 4-byte views can be made of (copied only where
 * the packed bytes are not so aligned), and the first tile's number.
 */
export function alignedTiles(packed: PackedShape, stride: number, from: number, to: number) {
  const firstTile = Math.floor(from / TILE_ROWS);
  const slice = packed.bytes.subarray(firstTile * stride, tilesOf(to) * stride);
  return { firstTile, bytes: slice.byteOffset % 4 === 0 ? slice : slice.slice() };
}
