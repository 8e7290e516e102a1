import { f16ToF32Array, f32ToF16Array } from "../../tensor/half.ts";
import type { KvType } from "../executor.ts";
import type { GrowingArray } from "./growing-array.ts";

/** f32, or f16 as bits. */
type Stored = Float32Array | Uint16Array;

/** Attention heads of keys and values, and their length. */
export interface KvShape {
  readonly kvHeads: number;
  readonly headDim: number;
}

/**
 * Keys and values of up to 64 consecutive positions, laid out as the attention products take them: a page is written once,
 * a position at a time, and read for every later token.
 */
export interface Page {
  /** Positions that the page has room for. */
  readonly positions: number;
  /** [kvHeads, headDim, positions] */
  readonly keys: Stored;
  /** [kvHeads, positions, headDim] */
  readonly values: Stored;
  /** Another cache may hold this page too: it is copied before it is written. */
  shared: boolean;
}

/** An empty page. */
export function newPage(kvType: KvType, positions: number, { kvHeads, headDim }: KvShape): Page {
  const length = positions * kvHeads * headDim;
  const array = (): Stored => (kvType === "f16" ? new Uint16Array(length) : new Float32Array(length));
  return { positions, keys: array(), values: array(), shared: false };
}

/** The same contents as a page of one's own. */
export function copyPage(page: Page): Page {
  return { positions: page.positions, keys: page.keys.slice(), values: page.values.slice(), shared: false };
}

/** Stores keys and values [rows, kvHeads * headDim] as positions `first` and on of the page, in its own type. */
export function writeRows(page: Page, first: number, keys: Float32Array, values: Float32Array, shape: KvShape): void {
  const { kvHeads, headDim } = shape;
  const width = kvHeads * headDim;
  const rows = keys.length / width;
  const storedKeys = narrowed(page, keys);
  const storedValues = narrowed(page, values);
  for (let row = 0; row < rows; row++) {
    for (let channel = 0; channel < width; channel++) {
      page.keys[channel * page.positions + first + row] = storedKeys[row * width + channel];
    }
    for (let head = 0; head < kvHeads; head++) {
      const from = row * width + head * headDim;
      page.values.set(storedValues.subarray(from, from + headDim), (head * page.positions + first + row) * headDim);
    }
  }
}

/** Writes the page's first `rows` positions in f32 as columns `first` and on of `target` [kvHeads * headDim, positions]. */
export function widenKeys(
  page: Page,
  rows: number,
  target: Float32Array,
  positions: number,
  first: number,
  buffer: GrowingArray,
) {
  const keys = widened(page.keys, buffer);
  for (let from = 0, to = first; from < keys.length; from += page.positions, to += positions) {
    for (let row = 0; row < rows; row++) target[to + row] = keys[from + row];
  }
}

/** Writes the page's first `rows` positions in f32 as positions `first` and on of `target` [kvHeads, positions, headDim]. */
export function widenValues(
  page: Page,
  rows: number,
  target: Float32Array,
  positions: number,
  first: number,
  { kvHeads, headDim }: KvShape,
) {
  for (let head = 0; head < kvHeads; head++) {
    const from = head * page.positions * headDim;
    const used = page.values.subarray(from, from + rows * headDim);
    const to = (head * positions + first) * headDim;
    if (used instanceof Float32Array) target.set(used, to);
    else f16ToF32Array(used, target.subarray(to, to + used.length));
  }
}

function narrowed(page: Page, source: Float32Array): Stored {
  return page.keys instanceof Float32Array ? source : f32ToF16Array(source);
}

function widened(source: Stored, buffer: GrowingArray): Float32Array {
  return source instanceof Float32Array ? source : f16ToF32Array(source, buffer.take(source.length));
}
