import { CHUNK_WORDS } from "./bit-planes.ts";
import { readCodes } from "./chunk-codes.ts";
import { CHUNK_COLS, type PackedShape, TILE_ROWS } from "./codec.ts";
import { type IntegerForm, type IntegerGeometry, integerGeometry, levelsAt } from "./integer-geometry.ts";
import { readGroupNumbers, readRowNumbers, type TileViews, tileViews } from "./scale-bytes.ts";
import { alignedTiles, type TileSpan, tileSpans } from "./tile.ts";

/** What one tile is expanded with: a chunk's codes, and a factor and an offset for each row of the group at hand. */
interface Scratch {
  readonly codes: Int32Array;
  /** The same memory as `codes`. */
  readonly codeBytes: Uint8Array;
  readonly rowScales: Float64Array;
  readonly rowMinima: Float64Array;
  readonly factors: Float64Array;
  readonly offsets: Float64Array;
}

/** What a code of a table codec stands for, plus 128; codes of the other codecs are taken as they are. */
type LevelBytes = Uint8Array | null;

function scratchOf(): Scratch {
  const codes = new Int32Array(CHUNK_WORDS);
  const [rowScales, rowMinima] = [new Float64Array(TILE_ROWS), new Float64Array(TILE_ROWS)];
  const [factors, offsets] = [new Float64Array(TILE_ROWS), new Float64Array(TILE_ROWS)];
  return { codes, codeBytes: new Uint8Array(codes.buffer), rowScales, rowMinima, factors, offsets };
}

/** Expands rows [from, to) into `out`, element (row, col) at row * rowStep + col * colStep; `levels` is the codec's. */
export function unpackInteger(
  form: IntegerForm,
  levels: Int8Array | null,
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
  const views = tileViews(bytes);
  const scratch = scratchOf();
  // A table's level plus 128 is a code of the symmetric 8-bit codec: from there on the two are one.
  const levelBytes = form.scheme === "table" && levels ? Uint8Array.from(levels, (level) => level + 128) : null;
  for (const span of spans) {
    const start = (span.tile - firstTile) * g.stride;
    unpackTile(form, levelBytes, g, views, start, packed.cols, span, scratch, out, rowStep, colStep);
  }
  return out;
}

function unpackTile(
  form: IntegerForm,
  levelBytes: LevelBytes,
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
  if (form.scaleKind === "two-level") readRows(form, views, start, scratch);
  for (let group = 0, chunk = 0; group < g.groups; group++) {
    readGroup(form, g, views, start, group, scratch);
    for (let end = Math.min(chunk + g.chunksPerGroup, g.chunks); chunk < end; chunk++) {
      readCodes(form, views.words, (start + levelsAt(g, chunk)) / 4, scratch.codes, rowFrom, rowTo);
      if (levelBytes) lookUp(levelBytes, scratch.codeBytes);
      const col = chunk * CHUNK_COLS;
      const at = (target - rowFrom) * rowStep + col * colStep;
      scaleChunk(scratch, rowFrom, rowTo, Math.min(CHUNK_COLS, cols - col), out, at, rowStep, colStep);
    }
  }
}

function readRows(form: IntegerForm, views: TileViews, start: number, { rowScales, rowMinima }: Scratch): void {
  readRowNumbers(views, start, 0, rowScales);
  if (form.scheme === "asymmetric") readRowNumbers(views, start, 1, rowMinima);
}

/** Factor and offset of each row of a tile in one group: value = factor * code + offset. */
function readGroup(
  form: IntegerForm,
  g: IntegerGeometry,
  views: TileViews,
  start: number,
  group: number,
  { factors, offsets, rowScales, rowMinima }: Scratch,
): void {
  readGroupNumbers(form.scaleKind, g, views, start, group, 0, rowScales, factors);
  if (form.scheme === "asymmetric") {
    readGroupNumbers(form.scaleKind, g, views, start, group, 1, rowMinima, offsets);
    return;
  }
  const middle = form.scheme === "table" ? 128 : 2 ** (form.bits - 1);
  for (let r = 0; r < TILE_ROWS; r++) offsets[r] = -factors[r] * middle;
}

/** Puts a level in each code's place; codes of rows that were not read are in range too. */
function lookUp(levelBytes: Uint8Array, codes: Uint8Array): void {
  for (let i = 0; i < codes.length; i++) codes[i] = levelBytes[codes[i]];
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
