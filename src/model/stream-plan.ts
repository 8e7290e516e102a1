import { TILE_ROWS } from "../codecs/codec.ts";
import { roundUp } from "../codecs/tile.ts";
import { headMatrixId, linearsOf } from "./decoder-spec.ts";
import { idOf } from "./matrix-id.ts";
import type { MatrixPlace, PlacedSource } from "./weight-source.ts";

/** Reads begin and end at multiples of this. */
const FILE_PAGE = 4096;
/** Buffers that streamed parts take turns in: one is computed with while the other is read to. */
export const STREAM_BUFFERS = 2;

/** Bytes of a file, whole pages at its beginning. */
export interface FileSpan {
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
}

/** Rows [from, to) of the output head, and where they lie. */
export interface HeadPart extends FileSpan {
  readonly rowFrom: number;
  readonly rowTo: number;
}

/** What of a model is held in memory and what is read from disk for every token. */
interface StreamPlan {
  /** Where the matrices of each block lie; null: it has none. */
  readonly blocks: readonly (FileSpan | null)[];
  /** By block. */
  readonly streamed: readonly boolean[];
  /** Parts of a streamed output head in the order of its rows; null: it is held. */
  readonly headParts: readonly HeadPart[] | null;
  /** Of one buffer. */
  readonly bufferBytes: number;
  /** What is held, with the buffers. */
  readonly heldBytes: number;
  /** What a token reads. */
  readonly tokenBytes: number;
}

/**
 * Chooses what of blocks and output head stays within `roomBytes`, buffers included: the output head where it fits,
 * then as many blocks as fit. A token needs every block once, so it does not matter which ones stay; those that do are
 * spread evenly, for the disk to read while they compute. Null where not even the buffers fit.
 */
export function planStream(source: PlacedSource, roomBytes: number): StreamPlan | null {
  const shape = shapeOf(source);
  const { blocks, head } = shape;
  const sizes = blocks.map((span) => span?.bytes ?? 0);
  const all = sum(sizes) + head.bytes;
  if (all <= roomBytes) {
    return {
      blocks,
      streamed: blocks.map(() => false),
      headParts: null,
      bufferBytes: 0,
      heldBytes: all,
      tokenBytes: 0,
    };
  }
  const bufferBytes = bufferBytesOf(shape);
  const room = roomBytes - STREAM_BUFFERS * bufferBytes;
  if (room < 0) return null;
  const headStays = head.bytes <= room;
  const most = room - (headStays ? head.bytes : 0);
  const count = heldCount(sizes, most);
  // Turn about, the last part and the next token's first are in different buffers where their number is even.
  const even = headStays && (blocks.length - count) % 2 === 1 && count > 0 ? count - 1 : count;
  const streamed = streamedBlocks(sizes, even);
  const streamedCount = streamed.filter(Boolean).length;
  const headParts = headStays ? null : cutHead(head, bufferBytes, streamedCount % 2);
  const heldBlocks = sum(sizes.filter((_, i) => !streamed[i]));
  const heldBytes = STREAM_BUFFERS * bufferBytes + heldBlocks + (headStays ? head.bytes : 0);
  const tokenBytes = sum(sizes) - heldBlocks + (headParts ? sum(headParts.map(({ bytes }) => bytes)) : 0);
  return { blocks, streamed, headParts, bufferBytes, heldBytes, tokenBytes };
}

/** The least that {@link planStream} takes. */
export function leastStreamBytes(source: PlacedSource): number {
  const shape = shapeOf(source);
  const all = sum(shape.blocks.map((span) => span?.bytes ?? 0)) + shape.head.bytes;
  return Math.min(all, STREAM_BUFFERS * bufferBytesOf(shape));
}

interface Shape {
  readonly blocks: readonly (FileSpan | null)[];
  readonly head: MatrixPlace;
}

function shapeOf(source: PlacedSource): Shape {
  const { spec } = source;
  const blocks = spec.blocks.map((block, i) => {
    const places = linearsOf(block).map(({ role }) => source.placeOf(idOf(i, role)));
    return places.length === 0 ? null : spanOf(places);
  });
  return { blocks, head: source.placeOf(headMatrixId(spec)) };
}

/** The pages in which matrices lie that follow one another. */
export function spanOf(places: readonly MatrixPlace[]): FileSpan {
  const offset = pageBefore(Math.min(...places.map((place) => place.offset)));
  const end = Math.max(...places.map((place) => place.offset + place.bytes));
  return { file: places[0].file, offset, bytes: end - offset };
}

const pageBefore = (offset: number) => Math.floor(offset / FILE_PAGE) * FILE_PAGE;
const sum = (numbers: readonly number[]) => numbers.reduce((all, one) => all + one, 0);

function tileBytesOf({ rows, bytes }: MatrixPlace): number {
  return bytes / Math.ceil(rows / TILE_ROWS);
}

/** Room for the largest block, and for a tile of the head wherever it begins. */
function bufferBytesOf({ blocks, head }: Shape): number {
  const largest = blocks.reduce((most, span) => Math.max(most, span?.bytes ?? 0), 0);
  return roundUp(Math.max(largest, tileBytesOf(head) + FILE_PAGE), FILE_PAGE);
}

/** How many blocks stay, evenly spread, within so many bytes. */
function heldCount(sizes: readonly number[], most: number): number {
  let count = sizes.length;
  const heldBytes = () => {
    const streamed = streamedBlocks(sizes, count);
    return sum(sizes.filter((_, i) => !streamed[i]));
  };
  while (count > 0 && heldBytes() > most) count--;
  return count;
}

/** Which blocks are streamed where `held` of them stay. */
function streamedBlocks(sizes: readonly number[], held: number): boolean[] {
  const blocks = sizes.length;
  const before = (block: number) => Math.floor((block * held) / blocks);
  return sizes.map((bytes, block) => bytes > 0 && before(block + 1) === before(block));
}

/** Parts of whole tiles that fit a buffer, about equally long; `parity`: what their number is, modulo 2. */
function cutHead(head: MatrixPlace, bufferBytes: number, parity: number): HeadPart[] {
  const tiles = Math.ceil(head.rows / TILE_ROWS);
  const tileBytes = tileBytesOf(head);
  const fit = Math.floor((bufferBytes - FILE_PAGE) / tileBytes);
  const least = Math.ceil(tiles / fit);
  const count = Math.min(tiles, least % 2 === parity ? least : least + 1);
  return Array.from({ length: count }, (_, part) => {
    const [tileFrom, tileTo] = [part, part + 1].map((n) => Math.floor((n * tiles) / count));
    const offset = pageBefore(head.offset + tileFrom * tileBytes);
    return {
      file: head.file,
      offset,
      bytes: head.offset + tileTo * tileBytes - offset,
      rowFrom: tileFrom * TILE_ROWS,
      rowTo: Math.min(head.rows, tileTo * TILE_ROWS),
    };
  });
}
