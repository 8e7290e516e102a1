import { type Codec, type Kept, type PackedShape, TILE_ROWS } from "./codec.ts";
import { integerFormOf, integerGeometry, levelsAt } from "./integer-geometry.ts";
import { checkLength, tilesOf } from "./tile.ts";

/**
 * What is wrong with the masks of a packed matrix, the first thing; null where nothing is, and for codecs that are not
 * sparse. Every row of the matrix must store exactly as many levels as its codec says (or all columns of a shorter last
 * run), and nothing else may be stored. Throws a RangeError on bytes that do not fit the shape.
 */
export function maskFault(codec: Codec, { rows, cols, bytes }: PackedShape): string | null {
  const { kept } = codec;
  if (!kept) return null;
  checkLength(`${codec.id} bytes`, bytes.length, codec.packedBytes(rows, cols));
  const g = integerGeometry(integerFormOf(codec), cols);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let row = 0; row < tilesOf(rows) * TILE_ROWS; row++) {
    const start = Math.floor(row / TILE_ROWS) * g.stride;
    for (let chunk = 0; chunk < g.chunks; chunk++) {
      const mask = maskOfRow(view, start + levelsAt(g, chunk), row % TILE_ROWS);
      const fault = faultOf(mask, kept, row < rows ? cols : 0, chunk);
      if (fault) return `row ${row}, ${fault}`;
    }
  }
  return null;
}

/** A bit for each of the chunk's 32 columns. */
function maskOfRow(view: DataView, at: number, row: number): number {
  let mask = 0;
  for (let quad = 0; quad < 8; quad++) {
    mask |= ((view.getUint8(at + 8 * quad + (row >> 1)) >> (4 * (row & 1))) & 15) << (4 * quad);
  }
  return mask;
}

function faultOf(mask: number, { count, of }: Kept, cols: number, chunk: number): string | null {
  for (let from = 0; from < 32; from += of) {
    let found = 0;
    for (let i = from; i < from + of; i++) found += (mask >>> i) & 1;
    const first = 32 * chunk + from;
    const expected = Math.max(0, Math.min(count, cols - first));
    if (found !== expected) return `columns from ${first} on: expected ${expected} stored levels, found ${found}`;
    const beyond = Math.max(0, cols - first);
    for (let i = from + beyond; i < from + of; i++) {
      if ((mask >>> i) & 1)
        return `column ${32 * chunk + i}: expected no stored level beyond the last column, found one`;
    }
  }
  return null;
}
