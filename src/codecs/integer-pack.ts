import { f16ToF32, f32ToF16 } from "../tensor/half.ts";
import { CHUNK_WORDS, writeChunk } from "./bit-planes.ts";
import { CHUNK_COLS, type Quantized, TILE_ROWS } from "./codec.ts";
import { HALVES_BYTES, type IntegerForm, type IntegerGeometry, integerGeometry, levelsAt } from "./integer-geometry.ts";
import { checkLength, tilesOf } from "./tile.ts";

type IntegerQuantized = Extract<Quantized, { kind: "integer" }>;

/** Packs checked numbers into 16-row tiles. Throws a RangeError on lengths that do not fit, codes or scales out of range. */
export function packInteger(id: string, form: IntegerForm, quantized: IntegerQuantized): Uint8Array {
  const { rows, cols, codes, scales, minima } = quantized;
  const g = integerGeometry(form, cols);
  checkNumbers(id, form, quantized, g);
  const bytes = new Uint8Array(tilesOf(rows) * g.stride);
  const words = new Int32Array(bytes.buffer);
  const halves = new Uint16Array(bytes.buffer);
  const chunk = new Int32Array(CHUNK_WORDS);
  for (let tile = 0; tile < tilesOf(rows); tile++) {
    const start = tile * g.stride;
    const tileRows = Math.min(TILE_ROWS, rows - tile * TILE_ROWS);
    for (let c = 0; c < g.chunks; c++) {
      gatherChunk(codes, cols, tile * TILE_ROWS, tileRows, c * CHUNK_COLS, chunk);
      writeChunk(form.bits, chunk, words, (start + levelsAt(g, c)) / 4);
    }
    scatterHalves(scales, g, tile * TILE_ROWS, tileRows, halves, start / 2);
    if (minima) scatterHalves(minima, g, tile * TILE_ROWS, tileRows, halves, (start + HALVES_BYTES) / 2);
  }
  return bytes;
}

function checkNumbers(id: string, form: IntegerForm, quantized: IntegerQuantized, g: IntegerGeometry): void {
  const { rows, cols, codes, scales, minima } = quantized;
  checkLength(`${id} codes`, codes.length, rows * cols);
  checkHalves(`${id} scales`, scales, rows * g.groups);
  if ((minima !== null) !== (form.scheme === "asymmetric")) {
    throw new TypeError(`${id}: minima: expected ${form.scheme === "asymmetric" ? "an array" : "null"}`);
  }
  if (minima) checkHalves(`${id} minima`, minima, rows * g.groups);
  const codeCount = 2 ** form.bits;
  for (let i = 0; i < codes.length; i++) {
    if (codes[i] >= codeCount) throw new RangeError(`${id}: code ${codes[i]} at ${i}: expected below ${codeCount}`);
  }
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

/** Writes one tile's scales or minima, given [row][group], as f16 [16 rows] at the same place of every group. */
function scatterHalves(
  numbers: Float32Array,
  { groups, groupStride }: IntegerGeometry,
  firstRow: number,
  rows: number,
  halves: Uint16Array,
  at: number,
): void {
  for (let r = 0; r < rows; r++) {
    for (let g = 0; g < groups; g++) {
      halves[at + (g * groupStride) / 2 + r] = f32ToF16(numbers[(firstRow + r) * groups + g]);
    }
  }
}

/** A quantizer that chose codes under a scale which f16 cannot hold would have minimised the wrong error. */
function checkHalves(what: string, numbers: Float32Array, length: number): void {
  checkLength(what, numbers.length, length);
  for (const x of numbers) {
    if (!Number.isFinite(x) || f16ToF32(f32ToF16(x)) !== x)
      throw new RangeError(`${what}: ${x} is no finite f16 number`);
  }
}
