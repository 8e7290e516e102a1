import { f16ToF32Array, f32ToF16Array } from "../../tensor/half.ts";
import type { KvType } from "../executor.ts";
import type { GrowingArray } from "./growing-array.ts";

/** Positions of one page. */
export const PAGE_POSITIONS = 64;

/** f32, or f16 as bits. */
type Stored = Float32Array | Uint16Array;

/** Keys and values of up to 64 consecutive positions: [positions, kvHeads * headDim] each. */
export interface Page {
  readonly keys: Stored;
  readonly values: Stored;
  /** Another cache may hold this page too: it is copied before it is written. */
  shared: boolean;
}

/** An empty page of `length` keys and as many values. */
export function newPage(kvType: KvType, length: number): Page {
  const array = (): Stored => (kvType === "f16" ? new Uint16Array(length) : new Float32Array(length));
  return { keys: array(), values: array(), shared: false };
}

/** The same contents as a page of one's own. */
export function copyPage(page: Page): Page {
  return { keys: page.keys.slice(), values: page.values.slice(), shared: false };
}

/** Stores f32 numbers in the page's own type, from element `offset` on. */
export function storeRows(target: Stored, offset: number, source: Float32Array): void {
  if (target instanceof Float32Array) target.set(source, offset);
  else f32ToF16Array(source, target.subarray(offset, offset + source.length));
}

/** The first `length` numbers of a page in f32; the buffer holds them where they were f16. */
export function widened(source: Stored, length: number, buffer: GrowingArray): Float32Array {
  const used = source.subarray(0, length);
  return used instanceof Float32Array ? used : f16ToF32Array(used, buffer.take(length));
}

/** source [rows, width] -> target [width, positions] from column `first`. */
export function transposeInto(
  target: Float32Array,
  positions: number,
  first: number,
  source: Float32Array,
  rows: number,
  width: number,
) {
  for (let channel = 0; channel < width; channel++) {
    const base = channel * positions + first;
    for (let row = 0; row < rows; row++) target[base + row] = source[row * width + channel];
  }
}

/** source [rows, kvHeads * headDim] -> target [kvHeads, positions, headDim] from position `first`. */
export function splitHeadsInto(
  target: Float32Array,
  positions: number,
  first: number,
  source: Float32Array,
  rows: number,
  kvHeads: number,
  headDim: number,
) {
  for (let head = 0; head < kvHeads; head++) {
    const base = (head * positions + first) * headDim;
    for (let row = 0; row < rows; row++) {
      const from = (row * kvHeads + head) * headDim;
      for (let i = 0; i < headDim; i++) target[base + row * headDim + i] = source[from + i];
    }
  }
}
