import type { Codec } from "../../src/codecs/codec.ts";
import { bf16ToF32, f16ToF32 } from "../../src/tensor/half.ts";

/** Planes of each width: the bits of the level they hold, from the lowest. */
const PLANES: Record<number, number[]> = { 2: [2], 3: [2, 1], 4: [4], 5: [4, 1], 6: [4, 2], 8: [8] };

/** The tables, as docs/artifact-format.md prints them. */
const TABLES: Record<number, number[]> = {
  2: [-127, -43, 18, 89],
  3: [-127, -77, -45, -18, 7, 33, 63, 104],
  4: [-127, -92, -72, -56, -41, -28, -15, -3, 9, 21, 34, 48, 63, 80, 101, 125],
  5: [
    -127, -106, -95, -85, -75, -67, -59, -51, -44, -37, -31, -24, -18, -12, -7, -2, 4, 9, 14, 19, 24, 30, 37, 43, 51,
    58, 66, 74, 82, 92, 103, 116,
  ],
};

/**
 * One code read bit by bit, straight from the text of docs/artifact-format.md; the chunk's levels begin at
 * `chunkStart`.
 */
function codeAt(codec: Codec, bytes: Uint8Array, chunkStart: number, row: number, col: number): number {
  const quad = Math.floor((col % 32) / 4);
  let planeStart = chunkStart;
  let code = 0;
  let shift = 0;
  for (const width of PLANES[codec.bits]) {
    const vector = quad % width;
    const field = Math.floor(quad / width);
    const byte = bytes[planeStart + vector * 64 + row * 4 + (col % 4)];
    code |= ((byte >> (field * width)) & (2 ** width - 1)) << shift;
    planeStart += 64 * width;
    shift += width;
  }
  return code;
}

/** The same of a sparse codec: the mask is counted up to the element, whose code is the next of the stream. */
function sparseCodeAt(codec: Codec, bytes: Uint8Array, chunkStart: number, row: number, col: number): number {
  const isSet = (quad: number, bit: number) => (bytes[chunkStart + quad * 8 + (bit >> 3)] >> (bit & 7)) & 1;
  const [quad, bit] = [Math.floor((col % 32) / 4), 4 * row + (col % 4)];
  if (!isSet(quad, bit)) return 2 ** (codec.bits - 1);
  let index = 0;
  for (let q = 0; q <= quad; q++) for (let b = 0; b < (q < quad ? 64 : bit); b++) index += isSet(q, b);
  let planeStart = chunkStart + 64 + Math.floor(index / 128) * 16 * codec.bits;
  let code = 0;
  let shift = 0;
  for (const width of PLANES[codec.bits]) {
    const byte = bytes[planeStart + ((index % 128) % (16 * width))];
    const field = Math.floor((index % 128) / (16 * width));
    code |= ((byte >> (field * width)) & (2 ** width - 1)) << shift;
    planeStart += 16 * width;
    shift += width;
  }
  return code;
}

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Slow twin of every codec: the value at (row, col) of packed bytes, with no code in common but the f16 conversion. */
export function slowValueAt(codec: Codec, bytes: Uint8Array, cols: number, row: number, col: number): number {
  const tile = Math.floor(row / 16);
  const r = row % 16;
  if (codec.scheme === "float") {
    const size = codec.bits / 8;
    const stride = Math.ceil((cols * 16 * size) / 64) * 64;
    const at = tile * stride + (col * 16 + r) * size;
    if (codec.id === "f32") return view(bytes).getFloat32(at, true);
    const half = view(bytes).getUint16(at, true);
    return codec.id === "f16" ? f16ToF32(half) : bf16ToF32(half);
  }
  const groupCols = codec.group ?? cols;
  const groups = Math.ceil(cols / groupCols);
  const minima = codec.scheme === "asymmetric";
  const twoLevel = codec.scaleKind === "two-level";
  const rowBytes = twoLevel ? (minima ? 64 : 32) : 0;
  const scaleBytes = twoLevel ? 16 : 32;
  const header = minima ? 2 * scaleBytes : scaleBytes;
  const stored = codec.kept ? (codec.kept.count * 32) / codec.kept.of : 32;
  const chunkBytes = 2 * stored * codec.bits + (codec.kept ? 64 : 0);
  const stride = Math.ceil((rowBytes + groups * header + Math.ceil(cols / 32) * chunkBytes) / 64) * 64;
  const chunksPerGroup = codec.group === null ? Math.ceil(cols / 32) : codec.group / 32;
  const group = Math.floor(col / groupCols);
  const start = tile * stride + rowBytes + group * (header + chunksPerGroup * chunkBytes);
  const number = (which: number) => {
    if (!twoLevel) return f16ToF32(view(bytes).getUint16(start + which * 32 + r * 2, true));
    const rowNumber = bf16ToF32(view(bytes).getUint16(tile * stride + which * 32 + r * 2, true));
    return view(bytes).getInt8(start + which * 16 + r) * rowNumber;
  };
  const chunkInGroup = Math.floor(col / 32) - group * chunksPerGroup;
  const read = codec.kept ? sparseCodeAt : codeAt;
  const code = read(codec, bytes, start + header + chunkInGroup * chunkBytes, r, col);
  if (minima) return Math.fround(number(0) * code + number(1));
  return number(0) * (codec.scheme === "table" ? TABLES[codec.bits][code] : code - 2 ** (codec.bits - 1));
}
