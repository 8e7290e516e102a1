import { CHUNK_WORDS } from "./bit-planes.ts";
import { readCodes } from "./chunk-codes.ts";
import { CHUNK_COLS, type Codec, type PackedShape, type Quantized, TILE_ROWS } from "./codec.ts";
import {
  type IntegerForm,
  type IntegerGeometry,
  integerFormOf,
  integerGeometry,
  levelsAt,
} from "./integer-geometry.ts";
import { readGroupNumbers, readRowNumbers, type TileViews, tileViews } from "./scale-bytes.ts";
import { alignedTiles, checkLength, type TileSpan, tileSpans } from "./tile.ts";

/** Codes, scales and minima of some rows, as a quantizer chose them. */
export type IntegerNumbers = Extract<Quantized, { kind: "integer" }>;

/**
 * The numbers of rows [from, to): what `pack` was given for them. For writing the same numbers in another format.
 * A TypeError where the codec holds floats.
 */
export function unpackNumbers(codec: Codec, packed: PackedShape, from: number, to: number): IntegerNumbers {
  const form = integerFormOf(codec);
  const { rows, cols } = packed;
  checkLength(`${codec.id} bytes`, packed.bytes.length, codec.packedBytes(rows, cols));
  const g = integerGeometry(form, cols);
  const numbers = zeroNumbers(form, g, to - from, cols);
  const spans = tileSpans(rows, from, to);
  const { firstTile, bytes } = alignedTiles(packed, g.stride, from, to);
  const views = tileViews(bytes);
  for (const span of spans) {
    const start = (span.tile - firstTile) * g.stride;
    readRowCodes(form, g, views.words, start, span, numbers);
    readScales(form, g, views, start, span, 0, numbers.scales, numbers.rowScales);
    if (numbers.minima) readScales(form, g, views, start, span, 1, numbers.minima, numbers.rowMinima);
  }
  return numbers;
}

function zeroNumbers(form: IntegerForm, g: IntegerGeometry, rows: number, cols: number): IntegerNumbers {
  const asymmetric = form.scheme === "asymmetric";
  const twoLevel = form.scaleKind === "two-level";
  return {
    kind: "integer",
    rows,
    cols,
    codes: new Uint8Array(rows * cols),
    scales: new Float32Array(rows * g.groups),
    minima: asymmetric ? new Float32Array(rows * g.groups) : null,
    rowScales: twoLevel ? new Float32Array(rows) : null,
    rowMinima: twoLevel && asymmetric ? new Float32Array(rows) : null,
  };
}

function readRowCodes(
  form: IntegerForm,
  g: IntegerGeometry,
  words: Int32Array,
  start: number,
  { rowFrom, rowTo, target }: TileSpan,
  { codes, cols }: IntegerNumbers,
): void {
  const chunkCodes = new Int32Array(CHUNK_WORDS);
  for (let chunk = 0; chunk < g.chunks; chunk++) {
    readCodes(form, words, (start + levelsAt(g, chunk)) / 4, chunkCodes, rowFrom, rowTo);
    const firstCol = chunk * CHUNK_COLS;
    const width = Math.min(CHUNK_COLS, cols - firstCol);
    for (let r = rowFrom; r < rowTo; r++) {
      const at = (target + r - rowFrom) * cols + firstCol;
      for (let c = 0; c < width; c++) codes[at + c] = (chunkCodes[(c >> 2) * TILE_ROWS + r] >>> (8 * (c & 3))) & 255;
    }
  }
}

/** Scales (or minima) of a tile's rows, and what they are multiples of where `rowOut` is given. */
function readScales(
  form: IntegerForm,
  g: IntegerGeometry,
  views: TileViews,
  start: number,
  { rowFrom, rowTo, target }: TileSpan,
  which: 0 | 1,
  out: Float32Array,
  rowOut: Float32Array | null,
): void {
  const [rowNumbers, numbers] = [new Float64Array(TILE_ROWS), new Float64Array(TILE_ROWS)];
  if (rowOut) {
    readRowNumbers(views, start, which, rowNumbers);
    rowOut.set(rowNumbers.subarray(rowFrom, rowTo), target);
  }
  for (let group = 0; group < g.groups; group++) {
    readGroupNumbers(form.scaleKind, g, views, start, group, which, rowNumbers, numbers);
    for (let r = rowFrom; r < rowTo; r++) out[(target + r - rowFrom) * g.groups + group] = numbers[r];
  }
}
