import type { Codec } from "../../src/codecs/codec.ts";
import { bf16ToF32, f16ToF32 } from "../../src/tensor/half.ts";

/** Planes of each width: the bits of the level they hold, from the lowest. */
const PLANES: Record<number, number[]> = { 2: [2], 3: [2, 1], 4: [4], 5: [4, 1], 6: [4, 2], 8: [8] };

/** One code read bit by bit, straight from the text of docs/artifact-format.md. */
function codeAt(codec: Codec, bytes: Uint8Array, tileStart: number, row: number, col: number): number {
  const chunk = Math.floor(col / 32);
  const quad = Math.floor((col % 32) / 4);
  let planeStart = tileStart + chunk * 64 * codec.bits;
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
  const levelBytes = Math.ceil(cols / 32) * 64 * codec.bits;
  const minima = codec.scheme === "asymmetric";
  const stride = Math.ceil((levelBytes + groups * 32 * (minima ? 2 : 1)) / 64) * 64;
  const start = tile * stride;
  const half = (at: number) => f16ToF32(view(bytes).getUint16(at + Math.floor(col / groupCols) * 32 + r * 2, true));
  const scale = half(start + levelBytes);
  const code = codeAt(codec, bytes, start, r, col);
  if (minima) return Math.fround(scale * code + half(start + levelBytes + groups * 32));
  return scale * (code - 2 ** (codec.bits - 1));
}
