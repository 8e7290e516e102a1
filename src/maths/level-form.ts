import type { Codec } from "../codecs/codec.ts";
import { nearestLevel } from "../tensor/rounding.ts";

/** Entries of a table by floor(2 y) + 256: the middle between two levels is a multiple of 1/2. */
const ENTRIES = 512;

/** The levels that codes 0 … 2^bits - 1 stand for, as quantizers look for the nearest one. */
export interface LevelForm {
  readonly bits: number;
  readonly asymmetric: boolean;
  /** Null: the levels are whole numbers. */
  readonly table: LevelTable | null;
  /** The outermost levels. */
  readonly least: number;
  readonly most: number;
  /** From the outermost levels to the next ones. */
  readonly gapLow: number;
  readonly gapHigh: number;
}

/**
 * A table of levels: `levels[code]`; `nearest` and `codes` hold, at `levelEntry(y)`, the level nearest to y and its
 * code.
 */
interface LevelTable {
  /** [2^bits], ascending */
  readonly levels: Int8Array;
  /** [512] */
  readonly nearest: Float64Array;
  /** [512] */
  readonly codes: Uint8Array;
}

/** The levels of an integer codec. */
export function levelFormOf({ bits, scheme, levels }: Codec): LevelForm {
  return levelForm(bits, scheme === "asymmetric", scheme === "table" ? levels : null);
}

/**
 * The form of whole-number levels, or of a table of 2^bits ascending int8 levels. Twin of native/offline/level-table.h.
 */
export function levelForm(bits: number, asymmetric: boolean, levels: Int8Array | null): LevelForm {
  const count = 2 ** bits;
  const least = asymmetric ? 0 : -count / 2;
  const whole = { bits, asymmetric, table: null, least, most: least + count - 1, gapLow: 1, gapHigh: 1 };
  if (!levels) return whole;
  return {
    bits,
    asymmetric,
    table: nearestLevels(levels),
    least: levels[0],
    most: levels[count - 1],
    gapLow: levels[1] - levels[0],
    gapHigh: levels[count - 1] - levels[count - 2],
  };
}

function nearestLevels(levels: Int8Array): LevelTable {
  const nearest = new Float64Array(ENTRIES);
  const codes = new Uint8Array(ENTRIES);
  let code = 0;
  for (let entry = 0; entry < ENTRIES; entry++) {
    // y from (entry - 256) / 2 on lies nearer to the next level from their middle on.
    while (code + 1 < levels.length && entry - ENTRIES / 2 >= levels[code] + levels[code + 1]) code++;
    nearest[entry] = levels[code];
    codes[entry] = code;
  }
  return { levels, nearest, codes };
}

/** Where a table has its entry for y; not a number has the first. */
function levelEntry(y: number): number {
  const place = y + y;
  const within = place >= -256 ? (place <= 255 ? place : 255) : -256;
  return Math.trunc(within + 256);
}

/** The code of the level nearest to y (whole numbers: ties to even; a table: ties upwards). */
export function codeOf(form: LevelForm, y: number): number {
  if (form.table) return form.table.codes[levelEntry(y)];
  const code = nearestLevel(y, form.least, form.most) - form.least;
  return code > 0 ? code : 0;
}

/** The level that a code stands for. */
export function levelOf(form: LevelForm, code: number): number {
  return form.table ? form.table.levels[code] : code + form.least;
}

/** The level nearest to y, as codeOf has it. */
export function nearestOf(form: LevelForm, y: number): number {
  return form.table ? form.table.nearest[levelEntry(y)] : nearestLevel(y, form.least, form.most);
}
