import { CHUNK_COLS, TILE_ROWS } from "./codec.ts";
import { tileStride } from "./tile.ts";

type IntegerBits = 2 | 3 | 4 | 5 | 6 | 8;
type IntegerScheme = "symmetric" | "asymmetric";

/** What sets one integer codec apart; `group: null` is a whole row. */
export interface IntegerForm {
  readonly bits: IntegerBits;
  readonly group: 32 | 64 | 128 | null;
  readonly scheme: IntegerScheme;
}

/** Where things lie in a tile of an integer codec, in bytes from its start. */
export interface IntegerGeometry {
  /** Chunks of 32 columns; each has its levels in `chunkWords` 4-byte words. */
  readonly chunks: number;
  readonly chunkWords: number;
  /** Groups of a row, and how many chunks share one. */
  readonly groups: number;
  readonly chunksPerGroup: number;
  readonly scalesAt: number;
  readonly minimaAt: number;
  /** Bytes before the zero bytes at the tile's end. */
  readonly contentBytes: number;
  readonly stride: number;
}

/** Scales of one row. */
export function integerGroups(form: IntegerForm, cols: number): number {
  return form.group === null ? 1 : Math.ceil(cols / form.group);
}

/** The layout of one tile with that many columns. */
export function integerGeometry(form: IntegerForm, cols: number): IntegerGeometry {
  const chunks = Math.ceil(cols / CHUNK_COLS);
  const chunkWords = TILE_ROWS * form.bits;
  const groups = integerGroups(form, cols);
  const chunksPerGroup = form.group === null ? chunks : form.group / CHUNK_COLS;
  const scalesAt = chunks * chunkWords * 4;
  const minimaAt = scalesAt + groups * TILE_ROWS * 2;
  const contentBytes = form.scheme === "asymmetric" ? minimaAt + groups * TILE_ROWS * 2 : minimaAt;
  return {
    chunks,
    chunkWords,
    groups,
    chunksPerGroup,
    scalesAt,
    minimaAt,
    contentBytes,
    stride: tileStride(contentBytes),
  };
}
