import { f16ToF32 } from "../tensor/half.ts";
import { CHUNK_WORDS, readChunk } from "./bit-planes.ts";
import { CHUNK_COLS, type PackedShape, TILE_ROWS } from "./codec.ts";
import { HALVES_BYTES, type IntegerForm, type IntegerGeometry, integerGeometry, levelsAt } from "./integer-geometry.ts";
import { alignedTiles, type TileSpan, tileSpans } from "./tile.ts";

/** The packed bytes of some tiles, seen as the two widths that they are read in. */
interface TileViews {
  readonly words: Int32Array;
  readonly halves: Uint16Array;
}

/** What one tile is expanded with: a chunk's codes, and a factor and an offset for each row of the group at hand. */
interface Scratch {
  readonly codes: Int32Array;
  readonly factors: Float64Array;
  readonly offsets: Float64Array;
}

/** Expands rows [from, to) into `out`, element (row, col) at row * rowStep + col * colStep. */
export function unpackInteger(
  form: IntegerForm,
  packed: PackedShape,
  from: number,
  to: number,
  out: Float32Array,
  rowStep: number,
  colStep: number,
): Float32Array {
  const spans = tileSpans(packed.rows, from, to);
  const g = integerGeometry(form, packed.cols);
  const { firstTile, bytes } = alignedTiles(packed, g.stride, from, to);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  const scratch = {
    codes: new Int32Array(CHUNK_WORDS),
    factors: new Float64Array(TILE_ROWS),
    offsets: new Float64Array(TILE_ROWS),
  };
  for (const span of spans) {
    const start = (span.tile - firstTile) * g.stride;
    unpackTile(form, g, { words, halves }, start, packed.cols, span, scratch, out, rowStep, colStep);
  }
  return out;
}

function unpackTile(
  form: IntegerForm,
  g: IntegerGeometry,
  views: TileViews,
  start: number,
  cols: number,
  span: TileSpan,
  scratch: Scratch,
  out: Float32Array,
  rowStep: number,
  colStep: number,
): void {
  const { rowFrom, rowTo, target } = span;
  for (let group = 0, chunk = 0; group < g.groups; group++) {
    readGroup(form, g, views.halves, start, group, scratch);
    for (let end = Math.min(chunk + g.chunksPerGroup, g.chunks); chunk < end; chunk++) {
      readChunk(form.bits, views.words, (start + levelsAt(g, chunk)) / 4, scratch.codes, rowFrom, rowTo);
      const col = chunk * CHUNK_COLS;
      const at = (target - rowFrom) * rowStep + col * colStep;
      scaleChunk(scratch, rowFrom, rowTo, Math.min(CHUNK_COLS, cols - col), out, at, rowStep, colStep);
    }
  }
}

/** Factor and offset of each row of a tile in one group: value = factor * code + offset. */
function readGroup(
  form: IntegerForm,
  g: IntegerGeometry,
  halves: Uint16Array,
  start: number,
  group: number,
  { factors, offsets }: Scratch,
): void {
  const scalesAt = (start + group * g.groupStride) / 2;
  const minimaAt = scalesAt + HALVES_BYTES / 2;
  const middle = 2 ** (form.bits - 1);
  const symmetric = form.scheme === "symmetric";
  for (let r = 0; r < TILE_ROWS; r++) {
    const factor = f16ToF32(halves[scalesAt + r]);
    factors[r] = factor;
    offsets[r] = symmetric ? -factor * middle : f16ToF32(halves[minimaAt + r]);
  }
}

/**
 * Turns a chunk's codes into numbers. The sum is exact in double precision and rounded once, so that every reader of
 * the format gets the same numbers whatever the order of its operations.
 */
function scaleChunk(
  { codes, factors, offsets }: Scratch,
  rowFrom: number,
  rowTo: number,
  width: number,
  out: Float32Array,
  start: number,
  rowStep: number,
  colStep: number,
): void {
  const wholeQuads = width >> 2;
  for (let quad = 0; quad < wholeQuads; quad++) {
    let at = start + rowFrom * rowStep + 4 * quad * colStep;
    for (let r = rowFrom; r < rowTo; r++, at += rowStep) {
      const word = codes[quad * TILE_ROWS + r];
      const factor = factors[r];
      const offset = offsets[r];
      out[at] = factor * (word & 255) + offset;
      out[at + colStep] = factor * ((word >>> 8) & 255) + offset;
      out[at + 2 * colStep] = factor * ((word >>> 16) & 255) + offset;
      out[at + 3 * colStep] = factor * (word >>> 24) + offset;
    }
  }
  for (let col = 4 * wholeQuads; col < width; col++) {
    const shift = 8 * (col & 3);
    for (let r = rowFrom; r < rowTo; r++) {
      const code = (codes[wholeQuads * TILE_ROWS + r] >>> shift) & 255;
      out[start + r * rowStep + col * colStep] = factors[r] * code + offsets[r];
    }
  }
}
