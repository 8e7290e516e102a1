/**
 * The levels of one chunk (16 rows x 32 columns) as bit planes, made so that a kernel gets four columns of 16 rows with
 * one mask and one shift of a 64-byte vector.
 *
 * A chunk's codes are held here as 128 words [quad][row]: word (quad, row) has the codes of columns 4*quad … 4*quad + 3
 * of that row in its bytes, lowest column first. Words are little-endian, as on every platform that Node 20 runs
 * TensorFlow on.
 */

/** Words of one chunk's codes. */
export const CHUNK_WORDS = 128;
/** Words of one 64-byte vector: one quad of 16 rows. */
const VECTOR = 16;

/** Widths of the planes that make up a level, lowest bits first. */
export const PLANES: Readonly<Record<number, readonly PlaneWidth[]>> = {
  2: [2],
  3: [2, 1],
  4: [4],
  5: [4, 1],
  6: [4, 2],
  8: [8],
};
type PlaneWidth = 1 | 2 | 4 | 8;

/** A mask with the lowest `bits` bits of each byte. */
export function byteMask(bits: number): number {
  return ((1 << bits) - 1) * 0x01010101;
}

/**
 * ORs a plane of `bits` bits at words[at …] into `codes`, shifted up by `shift`; rows [rowFrom, rowTo) only. Returns
 * the plane's words.
 */
function readPlane(
  bits: PlaneWidth,
  words: Int32Array,
  at: number,
  codes: Int32Array,
  shift: number,
  rowFrom: number,
  rowTo: number,
): number {
  const vectors = bits;
  const mask = byteMask(bits);
  for (let v = 0; v < vectors; v++) {
    for (let r = rowFrom; r < rowTo; r++) {
      const word = words[at + v * VECTOR + r];
      // Vector v holds quads v, v + vectors, v + 2 * vectors, … in successive bit fields of its bytes.
      for (let quad = v, down = 0; quad < 8; quad += vectors, down += bits) {
        codes[quad * VECTOR + r] |= ((word >>> down) & mask) << shift;
      }
    }
  }
  return vectors * VECTOR;
}

/** Four-bit planes are the common ones: both quads of a vector in straight code. */
function readFour(words: Int32Array, at: number, codes: Int32Array, rowFrom: number, rowTo: number): void {
  for (let v = 0; v < 4 * VECTOR; v += VECTOR) {
    for (let i = v + rowFrom; i < v + rowTo; i++) {
      const word = words[at + i];
      codes[i] = word & 0x0f0f0f0f;
      codes[i + 64] = (word >>> 4) & 0x0f0f0f0f;
    }
  }
}

/** Reads the codes of rows [rowFrom, rowTo) of the chunk whose planes begin at words[at]. */
export function readChunk(
  bits: number,
  words: Int32Array,
  at: number,
  codes: Int32Array,
  rowFrom: number,
  rowTo: number,
): void {
  if (bits === 4) readFour(words, at, codes, rowFrom, rowTo);
  else if (bits === 8) for (let i = 0; i < CHUNK_WORDS; i++) codes[i] = words[at + i];
  else readPlanes(PLANES[bits], words, at, codes, rowFrom, rowTo);
}

function readPlanes(
  widths: readonly PlaneWidth[],
  words: Int32Array,
  at: number,
  codes: Int32Array,
  rowFrom: number,
  rowTo: number,
): void {
  codes.fill(0);
  let place = at;
  let shift = 0;
  for (const width of widths) {
    place += readPlane(width, words, place, codes, shift, rowFrom, rowTo);
    shift += width;
  }
}

/** Writes all 16 rows of a chunk's codes as planes from words[at]. */
export function writeChunk(bits: number, codes: Int32Array, words: Int32Array, at: number): void {
  let place = at;
  let shift = 0;
  for (const width of PLANES[bits]) {
    const mask = byteMask(width);
    for (let quad = 0; quad < 8; quad++) {
      const vector = place + (quad % width) * VECTOR;
      const up = Math.floor(quad / width) * width;
      for (let r = 0; r < VECTOR; r++) words[vector + r] |= ((codes[quad * VECTOR + r] >>> shift) & mask) << up;
    }
    place += width * VECTOR;
    shift += width;
  }
}
