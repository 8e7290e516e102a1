import { type Codec, type PackedShape, TILE_ROWS } from "./codec.ts";
import { integerFormOf, integerGeometry, levelsAt } from "./integer-geometry.ts";
import { unpackNumbers } from "./integer-numbers.ts";
import { checkLength, checkShape, tilesOf } from "./tile.ts";

/**
 * A part of a tile in which every row has a lane of its own: `count` times 16 lanes of `width` bytes, from byte `at` of
 * the tile on. Scales, bit planes and floats are all stored so; the levels of sparse codecs are not.
 */
interface Lanes {
  readonly at: number;
  readonly width: 1 | 2 | 4;
  readonly count: number;
}

/**
 * Rows of a packed matrix as a packed matrix of their own, in the order of `ids`; one may come several times. Their
 * bytes are moved (those of a sparse codec packed anew): levels and scales stay what they are, rows beyond the last are
 * zero. Returns packedBytes(ids.length, cols) bytes. Throws a RangeError on an id that is no row of the matrix, no ids
 * at all, or bytes that do not fit the shape.
 */
export function gatherPackedRows(codec: Codec, { rows, cols, bytes }: PackedShape, ids: Int32Array): Uint8Array {
  checkLength(`${codec.id} bytes`, bytes.length, codec.packedBytes(rows, cols));
  checkShape(`${codec.id} gathered`, ids.length, cols);
  checkIds(rows, ids);
  if (codec.kept) return gatherNumbers(codec, { rows, cols, bytes }, ids);
  const stride = codec.packedBytes(1, cols);
  const source = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const target = new Uint8Array(tilesOf(ids.length) * stride);
  for (const { at, width, count } of lanesOf(codec, cols)) {
    const [from, to] = [lanes(source, width), lanes(target, width)];
    const [first, step] = [at / width, stride / width];
    ids.forEach((id, row) => {
      let read = Math.floor(id / TILE_ROWS) * step + first + (id % TILE_ROWS);
      let write = Math.floor(row / TILE_ROWS) * step + first + (row % TILE_ROWS);
      for (let i = 0; i < count; i++, read += TILE_ROWS, write += TILE_ROWS) to[write] = from[read];
    });
  }
  return target;
}

/** Rows of a sparse codec have no lanes of their own. */
function gatherNumbers(codec: Codec, packed: PackedShape, ids: Int32Array): Uint8Array {
  const { cols } = packed;
  const groups = codec.groupsPerRow(cols);
  const codes = new Uint8Array(ids.length * cols);
  const scales = new Float32Array(ids.length * groups);
  ids.forEach((id, row) => {
    const numbers = unpackNumbers(codec, packed, id, id + 1);
    codes.set(numbers.codes, row * cols);
    scales.set(numbers.scales, row * groups);
  });
  const none = { minima: null, rowScales: null, rowMinima: null };
  return codec.pack({ kind: "integer", rows: ids.length, cols, codes, scales, ...none });
}

/** Throws a RangeError unless every id is a row of a matrix of so many rows. */
export function checkIds(rows: number, ids: Int32Array): void {
  const bad = ids.findIndex((id) => id < 0 || id >= rows);
  if (bad >= 0) throw new RangeError(`ids[${bad}]: expected a row below ${rows}, found ${ids[bad]}`);
}

/** All of a tile but the zero bytes at its end. */
function lanesOf(codec: Codec, cols: number): Lanes[] {
  if (codec.scheme === "float") return [{ at: 0, width: codec.bits === 32 ? 4 : 2, count: cols }];
  const form = integerFormOf(codec);
  const g = integerGeometry(form, cols);
  const kinds = form.scheme === "asymmetric" ? 2 : 1;
  const twoLevel = form.scaleKind === "two-level";
  const all: Lanes[] = twoLevel ? [{ at: 0, width: 2, count: kinds }] : [];
  for (let group = 0; group < g.groups; group++) {
    const at = g.rowBytes + group * g.groupStride;
    const chunks = Math.min(g.chunksPerGroup, g.chunks - group * g.chunksPerGroup);
    all.push({ at, width: twoLevel ? 1 : 2, count: kinds });
    // A chunk's planes are vectors of 16 words, a word a row.
    all.push({ at: levelsAt(g, group * g.chunksPerGroup), width: 4, count: (chunks * g.chunkWords) / TILE_ROWS });
  }
  return all;
}

function lanes(
  { buffer, byteOffset, length }: Uint8Array,
  width: Lanes["width"],
): Uint8Array | Uint16Array | Uint32Array {
  if (width === 1) return new Uint8Array(buffer, byteOffset, length);
  return width === 2
    ? new Uint16Array(buffer, byteOffset, length / 2)
    : new Uint32Array(buffer, byteOffset, length / 4);
}
