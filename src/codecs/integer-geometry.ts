import { CHUNK_COLS, type Codec, type Kept, type ScaleKind, TILE_ROWS } from "./codec.ts";
import { tileStride } from "./tile.ts";

const INTEGER_BITS = [2, 3, 4, 5, 6, 8] as const;
const GROUPS = [32, 64, 128] as const;

export type IntegerBits = (typeof INTEGER_BITS)[number];
export type IntegerScheme = "symmetric" | "asymmetric" | "table";

/** What sets one integer codec apart; `group: null` is a whole row. */
export interface IntegerForm {
  readonly bits: IntegerBits;
  readonly group: (typeof GROUPS)[number] | null;
  readonly scheme: IntegerScheme;
  readonly scaleKind: ScaleKind;
  /** Null but for the sparse codecs, which are symmetric and have groups of 32. */
  readonly kept: Kept | null;
}

/**
 * Where things lie in a tile of an integer codec, in bytes from its start. A tile is one stream, read from front to
 * back by a product: the scales of its rows where scales have two levels; then group after group, each with the scales
 * of its 16 rows, their minima where asymmetric, and the levels of its chunks.
 */
export interface IntegerGeometry {
  /** Chunks of 32 columns; each has its levels, after their mask where sparse, in `chunkWords` 4-byte words. */
  readonly chunks: number;
  readonly chunkWords: number;
  /** Groups of a row, and how many chunks share one; the last group may have fewer. */
  readonly groups: number;
  readonly chunksPerGroup: number;
  /** Bytes of the rows' own scales and minima, before the first group; 0 unless scales have two levels. */
  readonly rowBytes: number;
  /** Bytes of a group's scales, and of a group's minima where there are any. */
  readonly scaleBytes: number;
  /** Bytes of a group's scales and minima, before its levels. */
  readonly headerBytes: number;
  /** Bytes from one group to the next. */
  readonly groupStride: number;
  /** Bytes of all levels. */
  readonly levelBytes: number;
  /** Bytes before the zero bytes at the tile's end. */
  readonly contentBytes: number;
  readonly stride: number;
}

/** Bytes of 16 numbers in f16 or bf16. */
const HALVES_BYTES = TILE_ROWS * 2;

/** 4-byte words of a sparse chunk's mask: a bit for each of 16 rows x 32 columns. */
export const MASK_WORDS = (TILE_ROWS * CHUNK_COLS) / 32;

/** Levels of a row that a chunk stores: 32, or fewer in a sparse codec. */
export function storedLevels({ kept }: Pick<IntegerForm, "kept">): number {
  return kept ? (kept.count * CHUNK_COLS) / kept.of : CHUNK_COLS;
}

/** Scales of one row. */
export function integerGroups(form: IntegerForm, cols: number): number {
  return form.group === null ? 1 : Math.ceil(cols / form.group);
}

/** The layout of one tile with that many columns. */
export function integerGeometry(form: IntegerForm, cols: number): IntegerGeometry {
  const chunks = Math.ceil(cols / CHUNK_COLS);
  const chunkWords = (TILE_ROWS * form.bits * storedLevels(form)) / CHUNK_COLS + (form.kept ? MASK_WORDS : 0);
  const groups = integerGroups(form, cols);
  const chunksPerGroup = form.group === null ? chunks : form.group / CHUNK_COLS;
  const twoLevel = form.scaleKind === "two-level";
  const kinds = form.scheme === "asymmetric" ? 2 : 1;
  const scaleBytes = twoLevel ? TILE_ROWS : HALVES_BYTES;
  const rowBytes = twoLevel ? kinds * HALVES_BYTES : 0;
  const headerBytes = kinds * scaleBytes;
  const levelBytes = chunks * chunkWords * 4;
  const contentBytes = rowBytes + groups * headerBytes + levelBytes;
  return {
    chunks,
    chunkWords,
    groups,
    chunksPerGroup,
    rowBytes,
    scaleBytes,
    headerBytes,
    groupStride: headerBytes + chunksPerGroup * chunkWords * 4,
    levelBytes,
    contentBytes,
    stride: tileStride(contentBytes),
  };
}

/** Where the levels of a chunk begin in a tile, in bytes. */
export function levelsAt(g: IntegerGeometry, chunk: number): number {
  const group = Math.floor(chunk / g.chunksPerGroup);
  return g.rowBytes + group * g.groupStride + g.headerBytes + (chunk - group * g.chunksPerGroup) * g.chunkWords * 4;
}

/** What sets an integer codec apart. A TypeError where the codec holds floats. */
export function integerFormOf(codec: Codec): IntegerForm {
  const { id, scheme, scaleKind, kept } = codec;
  const bits = INTEGER_BITS.find((known) => known === codec.bits);
  if (bits === undefined || scheme === "float" || scaleKind === null) throw new TypeError(`${id}: holds no codes`);
  const group = codec.group === null ? null : GROUPS.find((known) => known === codec.group);
  if (group === undefined) throw new TypeError(`${id}: groups of ${codec.group}`);
  return { bits, group, scheme, scaleKind, kept };
}
