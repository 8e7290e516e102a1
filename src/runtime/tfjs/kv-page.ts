import type { KvType } from "../../model/kv-type.ts";
import { KV_MAX_LEVEL } from "../../model/kv-type.ts";
import { f16ToF32Array, f32ToF16Array } from "../../tensor/half.ts";
import { roundHalfToEven } from "../../tensor/rounding.ts";
import type { GrowingArray } from "./growing-array.ts";

/** f32, f16 as bits, or 8-bit levels. */
type Stored = Float32Array | Uint16Array | Int8Array;

/** Attention heads of keys and values, and their length. */
export interface KvShape {
  readonly kvHeads: number;
  readonly headDim: number;
}

/** Scales of 8-bit levels, [kvHeads, positions] each. */
interface PageScales {
  readonly keys: Float32Array;
  readonly values: Float32Array;
}

/**
 * Keys and values of up to 64 consecutive positions, laid out as the attention products take them: a page is written
 * once, a position at a time, and read for every later token.
 */
export interface Page {
  /** Positions that the page has room for. */
  readonly positions: number;
  /** [kvHeads, headDim, positions] */
  readonly keys: Stored;
  /** [kvHeads, positions, headDim] */
  readonly values: Stored;
  /** Null but for `q8`. */
  readonly scales: PageScales | null;
  /** Another cache may hold this page too: it is copied before it is written. */
  shared: boolean;
}

const ARRAYS = { f32: Float32Array, f16: Uint16Array, q8: Int8Array } as const;

/** An empty page. */
export function newPage(kvType: KvType, positions: number, { kvHeads, headDim }: KvShape): Page {
  const array = (): Stored => new ARRAYS[kvType](positions * kvHeads * headDim);
  const scales = () => new Float32Array(positions * kvHeads);
  return {
    positions,
    keys: array(),
    values: array(),
    scales: kvType === "q8" ? { keys: scales(), values: scales() } : null,
    shared: false,
  };
}

/** The same contents as a page of one's own. */
export function copyPage({ positions, keys, values, scales }: Page): Page {
  const copy = scales && { keys: scales.keys.slice(), values: scales.values.slice() };
  return { positions, keys: keys.slice(), values: values.slice(), scales: copy, shared: false };
}

/** Bytes of a page. */
export function pageBytes({ keys, values, scales }: Page): number {
  const scaleBytes = scales ? scales.keys.byteLength + scales.values.byteLength : 0;
  return keys.byteLength + values.byteLength + scaleBytes;
}

/** Stores keys and values [rows, kvHeads * headDim] as positions `first` and on of the page, in its own type. */
export function writeRows(page: Page, first: number, keys: Float32Array, values: Float32Array, shape: KvShape): void {
  const { kvHeads, headDim } = shape;
  const width = kvHeads * headDim;
  const rows = keys.length / width;
  const storedKeys = narrowed(page, keys, page.scales?.keys, first, shape);
  const storedValues = narrowed(page, values, page.scales?.values, first, shape);
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

/**
 * Writes the page's first `rows` positions in f32 as columns `first` and on of `target` [kvHeads * headDim, positions].
 */
export function widenKeys(
  page: Page,
  rows: number,
  target: Float32Array,
  positions: number,
  first: number,
  { headDim }: KvShape,
  buffer: GrowingArray,
) {
  const keys = page.keys instanceof Uint16Array ? f16ToF32Array(page.keys, buffer.take(page.keys.length)) : page.keys;
  const channels = keys.length / page.positions;
  for (let channel = 0; channel < channels; channel++) {
    const from = channel * page.positions;
    const to = channel * positions + first;
    if (page.scales) {
      const slot = Math.floor(channel / headDim) * page.positions;
      for (let row = 0; row < rows; row++) target[to + row] = keys[from + row] * page.scales.keys[slot + row];
    } else {
      for (let row = 0; row < rows; row++) target[to + row] = keys[from + row];
    }
  }
}

/**
 * Writes the page's first `rows` positions in f32 as positions `first` and on of `target` [kvHeads, positions,
 * headDim].
 */
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
    if (used instanceof Uint16Array) f16ToF32Array(used, target.subarray(to, to + used.length));
    else if (!page.scales) target.set(used, to);
    else {
      const slot = head * page.positions;
      for (let i = 0; i < used.length; i++) {
        target[to + i] = used[i] * page.scales.values[slot + Math.floor(i / headDim)];
      }
    }
  }
}

/**
 * Rows [rows, kvHeads * headDim] in the page's type; the scales of 8-bit levels go to positions `first` and on. What
 * the type cannot hold becomes NaN, as the native engine has it: an infinite key could have a score of -Infinity, and
 * its position would be left out without a word.
 */
function narrowed(
  page: Page,
  source: Float32Array,
  scales: Float32Array | undefined,
  first: number,
  { kvHeads, headDim }: KvShape,
): Stored {
  if (!scales) return page.keys instanceof Float32Array ? source.map((x) => x + x * 0) : halvesOf(source);
  const levels = new Int8Array(source.length);
  for (let vector = 0; vector * headDim < source.length; vector++) {
    const row = Math.floor(vector / kvHeads);
    const part = [vector * headDim, (vector + 1) * headDim] as const;
    scales[(vector % kvHeads) * page.positions + first + row] = quantize(
      source.subarray(...part),
      levels.subarray(...part),
    );
  }
  return levels;
}

/** In f16; what it cannot hold becomes NaN. */
function halvesOf(source: Float32Array): Uint16Array {
  const halves = f32ToF16Array(source);
  for (let i = 0; i < halves.length; i++) if ((halves[i] & 0x7c00) === 0x7c00) halves[i] = 0x7e00;
  return halves;
}

/** Below it the reciprocal of the scale could overflow: such numbers count as zeros. */
const LEAST_LARGEST = KV_MAX_LEVEL * 2 ** -126;

/**
 * Writes levels of one vector, x * (1 / scale) rounded to the nearest even, and returns the scale, max|x| / 127; all in
 * f32, as the native engine does it. Numbers that are not finite make the scale NaN, so that they are not hidden.
 */
function quantize(x: Float32Array, levels: Int8Array): number {
  let largest = 0;
  for (let i = 0; i < x.length; i++) largest = Math.max(largest, Math.abs(x[i]));
  if (!Number.isFinite(largest)) return Number.NaN;
  if (largest < LEAST_LARGEST) return 0;
  const scale = Math.fround(largest / KV_MAX_LEVEL);
  const inverse = Math.fround(1 / scale);
  for (let i = 0; i < x.length; i++) {
    const level = roundHalfToEven(Math.fround(x[i] * inverse));
    levels[i] = Math.max(-KV_MAX_LEVEL, Math.min(KV_MAX_LEVEL, level));
  }
  return scale;
}
