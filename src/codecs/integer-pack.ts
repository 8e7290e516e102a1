import { CHUNK_WORDS } from "./bit-planes.ts";
import { writeCodes } from "./chunk-codes.ts";
import { CHUNK_COLS, type Quantized, TILE_ROWS } from "./codec.ts";
import { type IntegerForm, type IntegerGeometry, integerGeometry, levelsAt } from "./integer-geometry.ts";
import { type TileRows, type TileViews, tileViews, writeHalves, writeTwoLevel } from "./scale-bytes.ts";
import { checkHalves, checkTwoLevel } from "./scale-checks.ts";
import { checkKept } from "./sparse-chunk.ts";
import { checkLength, tilesOf } from "./tile.ts";

type IntegerQuantized = Extract<Quantized, { kind: "integer" }>;

/**
 * Packs checked numbers into 16-row tiles. Throws a RangeError on lengths that do not fit, codes or scales out of
 * range.
 */
export function packInteger(id: string, form: IntegerForm, quantized: IntegerQuantized): Uint8Array {
  const { rows, cols, codes } = quantized;
  const g = integerGeometry(form, cols);
  checkNumbers(id, form, quantized, g);
  const bytes = new Uint8Array(tilesOf(rows) * g.stride);
  const views = tileViews(bytes);
  const chunk = new Int32Array(CHUNK_WORDS);
  for (let tile = 0; tile < tilesOf(rows); tile++) {
    const start = tile * g.stride;
    const tileRows = { first: tile * TILE_ROWS, count: Math.min(TILE_ROWS, rows - tile * TILE_ROWS) };
    for (let c = 0; c < g.chunks; c++) {
      gatherChunk(codes, cols, tileRows.first, tileRows.count, c * CHUNK_COLS, chunk);
      const extent = { rows: tileRows.count, cols: Math.min(CHUNK_COLS, cols - c * CHUNK_COLS) };
      writeCodes(form, chunk, extent, views.words, (start + levelsAt(g, c)) / 4);
    }
    writeScales(g, views, start, tileRows, quantized);
  }
  return bytes;
}

function writeScales(
  g: IntegerGeometry,
  views: TileViews,
  start: number,
  tileRows: TileRows,
  { scales, minima, rowScales, rowMinima }: IntegerQuantized,
): void {
  if (rowScales) writeTwoLevel(g, views, start, tileRows, 0, scales, rowScales);
  else writeHalves(g, views, start, tileRows, 0, scales);
  if (minima && rowMinima) writeTwoLevel(g, views, start, tileRows, 1, minima, rowMinima);
  else if (minima) writeHalves(g, views, start, tileRows, 1, minima);
}

function checkNumbers(id: string, form: IntegerForm, quantized: IntegerQuantized, g: IntegerGeometry): void {
  const { rows, cols, codes, scales, minima, rowScales, rowMinima } = quantized;
  const asymmetric = form.scheme === "asymmetric";
  const twoLevel = form.scaleKind === "two-level";
  checkLength(`${id} codes`, codes.length, rows * cols);
  checkPresence(`${id}: minima`, minima, asymmetric);
  checkPresence(`${id}: rowScales`, rowScales, twoLevel);
  checkPresence(`${id}: rowMinima`, rowMinima, twoLevel && asymmetric);
  checkScales(`${id} scales`, scales, rowScales, rows, g.groups);
  if (minima) checkScales(`${id} minima`, minima, rowMinima, rows, g.groups);
  const codeCount = 2 ** form.bits;
  for (let i = 0; i < codes.length; i++) {
    if (codes[i] >= codeCount) throw new RangeError(`${id}: code ${codes[i]} at ${i}: expected below ${codeCount}`);
  }
  if (form.kept) checkKept(id, form.kept, 2 ** (form.bits - 1), quantized);
}

function checkPresence(what: string, numbers: Float32Array | null, expected: boolean): void {
  if ((numbers !== null) !== expected) throw new TypeError(`${what}: expected ${expected ? "an array" : "null"}`);
}

function checkScales(
  what: string,
  numbers: Float32Array,
  rowNumbers: Float32Array | null,
  rows: number,
  groups: number,
): void {
  checkLength(what, numbers.length, rows * groups);
  if (rowNumbers) checkTwoLevel(what, numbers, rowNumbers, rows, groups);
  else checkHalves(what, numbers);
}

/** Collects the codes of one chunk as words [quad][row]; what lies outside the matrix is zero. */
function gatherChunk(
  codes: Uint8Array,
  cols: number,
  firstRow: number,
  rows: number,
  firstCol: number,
  chunk: Int32Array,
): void {
  chunk.fill(0);
  const width = Math.min(CHUNK_COLS, cols - firstCol);
  for (let r = 0; r < rows; r++) {
    const at = (firstRow + r) * cols + firstCol;
    for (let c = 0; c < width; c++) chunk[(c >> 2) * TILE_ROWS + r] |= codes[at + c] << (8 * (c & 3));
  }
}
