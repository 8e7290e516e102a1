/**
 * The levels of one chunk (16 rows x 32 columns) of a sparse codec: a mask of 8 words of 64 bits, one a quad of
 * columns, bit 4 * row + column of the quad; then the codes whose bit is set, in the order of the bits, and zeros up to
 * 16 times what a row stores. The codes are in sections of 128, each of bit planes: byte i of a plane of w bits has the
 * codes i, i + 16 w, i + 32 w, … in successive fields of w bits.
 */
import { byteMask, PLANES } from "./bit-planes.ts";
import { CHUNK_COLS, type Kept, type Quantized, TILE_ROWS } from "./codec.ts";
import { type IntegerForm, MASK_WORDS, storedLevels } from "./integer-geometry.ts";

/** Rows and columns of a chunk that lie in the matrix. */
export interface ChunkExtent {
  readonly rows: number;
  readonly cols: number;
}

/** Words of a section's codes, a byte each: 8 codes of each row. */
const SECTION_WORDS = 32;
/** Quads of a chunk. */
const QUADS = CHUNK_COLS / 4;

/** The codes of a chunk in the order of its mask's bits; room for every bit that a damaged mask could have. */
const stream = new Int32Array((TILE_ROWS * CHUNK_COLS) / 4);
const streamBytes = new Uint8Array(stream.buffer);

/** Reads all codes of the chunk that begins at words[at]: [quad][row] words of four columns. The rest is level 0's. */
export function readSparseChunk(form: IntegerForm, words: Int32Array, at: number, codes: Int32Array): void {
  const used = (storedLevels(form) * TILE_ROWS) / 4;
  stream.fill(0, used);
  for (let section = 0; section * SECTION_WORDS < used; section++) {
    const from = at + MASK_WORDS + section * 4 * form.bits;
    readSection(PLANES[form.bits], words, from, section * SECTION_WORDS);
  }
  spread(words, at, 2 ** (form.bits - 1), codes);
}

function readSection(planes: readonly number[], words: Int32Array, at: number, to: number): void {
  stream.fill(0, to, to + SECTION_WORDS);
  let place = at;
  let shift = 0;
  for (const width of planes) {
    const mask = byteMask(width);
    const count = 4 * width;
    for (let i = 0; i < count; i++) {
      const word = words[place + i];
      for (let down = 0, out = to + i; down < 8; down += width, out += count) {
        stream[out] |= ((word >>> down) & mask) << shift;
      }
    }
    place += count;
    shift += width;
  }
}

/** Gives each bit that is set the next code of the stream, and the others `zero`. */
function spread(words: Int32Array, at: number, zero: number, codes: Int32Array): void {
  let next = 0;
  for (let half = 0; half < 2 * QUADS; half++) {
    let mask = words[at + half];
    for (let i = half * 8; i < half * 8 + 8; i++, mask >>>= 4) {
      let word = mask & 1 ? streamBytes[next++] : zero;
      word |= (mask & 2 ? streamBytes[next++] : zero) << 8;
      word |= (mask & 4 ? streamBytes[next++] : zero) << 16;
      codes[i] = word | ((mask & 8 ? streamBytes[next++] : zero) << 24);
    }
  }
}

/**
 * Writes a chunk's codes, [quad][row] words, from words[at] on, which are zeros. Every row stores as many as it may:
 * those that are not 0, and then 0's from the first column on.
 */
export function writeSparseChunk(
  form: IntegerForm,
  kept: Kept,
  codes: Int32Array,
  extent: ChunkExtent,
  words: Int32Array,
  at: number,
): void {
  const zero = 2 ** (form.bits - 1);
  for (let row = 0; row < extent.rows; row++) {
    for (let from = 0; from < extent.cols; from += kept.of) {
      const to = Math.min(from + kept.of, extent.cols);
      for (const col of storedColumns(from, to, kept.count, (col) => codeAt(codes, row, col) !== zero)) {
        words[at + 2 * (col >> 2) + (row >> 3)] |= 1 << (4 * (row & 7) + (col & 3));
      }
    }
  }
  let next = 0;
  for (let half = 0; half < 2 * QUADS; half++) {
    for (let bit = 0; bit < 32; bit++) {
      if (((words[at + half] >>> bit) & 1) === 0) continue;
      const code = (codes[8 * half + (bit >> 2)] >>> (8 * (bit & 3))) & 255;
      writeCode(form.bits, code, next++, words, at + MASK_WORDS);
    }
  }
}

function codeAt(codes: Int32Array, row: number, col: number): number {
  return (codes[(col >> 2) * TILE_ROWS + row] >>> (8 * (col & 3))) & 255;
}

/** Columns of [from, to) that are stored: all that must be, and from the first on as many others as have room. */
function storedColumns(from: number, to: number, count: number, must: (col: number) => boolean): number[] {
  const columns = Array.from({ length: to - from }, (_, i) => from + i);
  let room = count - columns.filter(must).length;
  return columns.filter((col) => must(col) || room-- > 0);
}

/** ORs the code that is `index`-th of the chunk into its planes. */
function writeCode(bits: number, code: number, index: number, words: Int32Array, at: number): void {
  const inSection = index % (4 * SECTION_WORDS);
  let place = at + ((index - inSection) / (4 * SECTION_WORDS)) * 4 * bits;
  let shift = 0;
  for (const width of PLANES[bits]) {
    const byte = inSection % (16 * width);
    const field = (inSection - byte) / (16 * width);
    const part = (code >>> shift) & ((1 << width) - 1);
    words[place + (byte >> 2)] |= part << (8 * (byte & 3) + field * width);
    place += 4 * width;
    shift += width;
  }
}

/** Throws a RangeError where a row has more levels that are not 0, which `zero` is the code of, than are stored. */
export function checkKept(
  id: string,
  { count, of }: Kept,
  zero: number,
  { rows, cols, codes }: Extract<Quantized, { kind: "integer" }>,
): void {
  for (let row = 0; row < rows; row++) {
    for (let from = 0; from < cols; from += of) {
      let found = 0;
      for (let col = from; col < Math.min(from + of, cols); col++) if (codes[row * cols + col] !== zero) found++;
      if (found <= count) continue;
      const where = `${id}: row ${row}, columns from ${from} on`;
      throw new RangeError(`${where}: expected at most ${count} levels of ${of} that are not 0, found ${found}`);
    }
  }
}
