/**
 * The scales and minima of a packed tile: f16 [16 rows] a group or, with two levels, int8 [16 rows] a group under bf16
 * [16 rows] a tile. `which` is 0 for scales and 1 for minima.
 */
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from "../tensor/half.ts";
import { type ScaleKind, TILE_ROWS } from "./codec.ts";
import type { IntegerGeometry } from "./integer-geometry.ts";

/** Packed bytes, seen as the widths that they are read and written in; all begin at the same byte. */
export interface TileViews {
  readonly words: Int32Array;
  readonly halves: Uint16Array;
  readonly bytes: Int8Array;
}

/** Views of bytes that begin at a multiple of 4. */
export function tileViews({ buffer, byteOffset, length }: Uint8Array): TileViews {
  return {
    words: new Int32Array(buffer, byteOffset, length / 4),
    halves: new Uint16Array(buffer, byteOffset, length / 2),
    bytes: new Int8Array(buffer, byteOffset, length),
  };
}

/** The rows' own scales (or minima) of the tile that begins at byte `start`, into out [16 rows]. */
export function readRowNumbers({ halves }: TileViews, start: number, which: 0 | 1, out: Float64Array): void {
  for (let r = 0; r < TILE_ROWS; r++) out[r] = bf16ToF32(halves[start / 2 + which * TILE_ROWS + r]);
}

/**
 * A group's scales (or minima) of the 16 rows of the tile that begins at byte `start`, into `out`; `rowNumbers`, of
 * readRowNumbers, is read where scales have two levels.
 */
export function readGroupNumbers(
  kind: ScaleKind,
  g: IntegerGeometry,
  { halves, bytes }: TileViews,
  start: number,
  group: number,
  which: 0 | 1,
  rowNumbers: Float64Array,
  out: Float64Array,
): void {
  const at = start + g.rowBytes + group * g.groupStride + which * g.scaleBytes;
  if (kind === "f16") {
    for (let r = 0; r < TILE_ROWS; r++) out[r] = f16ToF32(halves[at / 2 + r]);
  } else {
    for (let r = 0; r < TILE_ROWS; r++) out[r] = bytes[at + r] * rowNumbers[r];
  }
}

/** Rows of a matrix that a tile has: `count` from `first` on. */
export interface TileRows {
  readonly first: number;
  readonly count: number;
}

/** Writes a tile's f16 scales (or minima), given [row][group]. */
export function writeHalves(
  { groups, groupStride, scaleBytes }: IntegerGeometry,
  { halves }: TileViews,
  start: number,
  rows: TileRows,
  which: 0 | 1,
  numbers: Float32Array,
): void {
  const at = (start + which * scaleBytes) / 2;
  for (let r = 0; r < rows.count; r++) {
    for (let group = 0; group < groups; group++) {
      halves[at + (group * groupStride) / 2 + r] = f32ToF16(numbers[(rows.first + r) * groups + group]);
    }
  }
}

/** Writes a tile's two-level scales (or minima), given [row][group], and what they are multiples of, given [row]. */
export function writeTwoLevel(
  { groups, groupStride, scaleBytes, rowBytes }: IntegerGeometry,
  { halves, bytes }: TileViews,
  start: number,
  rows: TileRows,
  which: 0 | 1,
  numbers: Float32Array,
  rowNumbers: Float32Array,
): void {
  const at = start + rowBytes + which * scaleBytes;
  for (let r = 0; r < rows.count; r++) {
    const unit = rowNumbers[rows.first + r];
    halves[start / 2 + which * TILE_ROWS + r] = f32ToBf16(unit);
    for (let group = 0; group < groups; group++) {
      const number = numbers[(rows.first + r) * groups + group];
      bytes[at + group * groupStride + r] = unit === 0 ? 0 : Math.round(number / unit);
    }
  }
}
