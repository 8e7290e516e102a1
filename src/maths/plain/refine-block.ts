import { nearestStored } from "../../codecs/two-level.ts";
import { inverseOf } from "../../tensor/rounding.ts";
import { codeOf, type LevelForm, levelOf } from "../level-form.ts";

/** Columns of a block at most: groups are up to 128, of whole rows 64 columns are taken at a time. */
export const BLOCK_COLS = 128;
/** Sweeps over the columns between two fits of the scale at most: the third rarely moves a code. */
const SWEEPS = 4;
/** Fits of the scale: each takes less off than the one before, by an order of magnitude. */
const FITS = 3;

/** What all rows of a block of columns share. */
export interface RefineBlock {
  readonly form: LevelForm;
  readonly cols: number;
  /** False: the block is a part of its group, and the scale stays. */
  readonly wholeGroup: boolean;
  /** A level that is 0 is not moved. */
  readonly zerosStay: boolean;
  /** Damped gram of the block, [cols, cols] */
  readonly h: Float64Array;
  /** Sums of h's rows, and their sum. */
  readonly rowSums: Float64Array;
  readonly total: number;
}

/** One row in one block of columns. */
export interface RowBlock {
  /** [cols], what the codes stand for */
  readonly values: Float64Array;
  /** [cols] of (values - w) H: half the error's slope */
  readonly gradient: Float64Array;
  /** [cols] */
  readonly codes: Uint8Array;
  scale: number;
  minimum: number;
}

/** Multiples of these are what scale and minimum may be; 0: f16 numbers. */
export interface RowSteps {
  readonly scale: number;
  readonly minimum: number;
}

/** The value of a code in a row's block. */
export function codeValue(form: LevelForm, { scale, minimum }: RowBlock, code: number): number {
  const product = scale * levelOf(form, code);
  return form.asymmetric ? product + minimum : product;
}

/**
 * Moves a row's codes, scale and minimum as long as the error under the gram falls: coordinate descent on the codes,
 * then the least-squares scale for them as it can be stored, in turn. Every move is taken only where it lowers the
 * error, with what all other columns do counted in. False where nothing moved. Twin of native/offline/refine-block.cpp.
 */
export function lowerBlock(block: RefineBlock, row: RowBlock, steps: RowSteps): boolean {
  let moved = false;
  for (let fit = 0; ; fit++) {
    for (let i = 0; i < SWEEPS && sweepCodes(block, row); i++) moved = true;
    if (fit === FITS || !block.wholeGroup || !refitScale(block, row, steps)) return moved;
    moved = true;
  }
}

/** Each code in turn becomes the one nearest to where the error is least with all others as they are. */
function sweepCodes({ form, cols, h, zerosStay }: RefineBlock, row: RowBlock): boolean {
  const { values, gradient, codes, scale, minimum } = row;
  const inverse = inverseOf(scale);
  let moved = false;
  for (let i = 0; i < cols; i++) {
    const diagonal = h[i * cols + i];
    const code = codeOf(form, (values[i] - gradient[i] / diagonal - minimum) * inverse);
    if (code === codes[i] || (zerosStay && levelOf(form, codes[i]) === 0)) continue;
    const value = codeValue(form, row, code);
    const step = value - values[i];
    if (!(step * (2 * gradient[i] + step * diagonal) < 0)) continue;
    for (let j = 0; j < cols; j++) gradient[j] += step * h[i * cols + j];
    values[i] = value;
    codes[i] = code;
    moved = true;
  }
  return moved;
}

/** The scale and minimum of least error for the codes as they are, rounded to what can be stored. */
function refitScale(block: RefineBlock, row: RowBlock, steps: RowSteps): boolean {
  const { form, cols, h, rowSums, total } = block;
  const { gradient, values, codes, scale, minimum } = row;
  const product = new Float64Array(cols);
  for (let i = 0; i < cols; i++) {
    const level = levelOf(form, codes[i]);
    for (let j = 0; j < cols; j++) product[j] += level * h[i * cols + j];
  }
  // The slope and the curvature along the scale, along the minimum (offset), and across.
  let slope = 0;
  let curve = 0;
  let offsetSlope = 0;
  let across = 0;
  for (let i = 0; i < cols; i++) {
    const level = levelOf(form, codes[i]);
    slope += gradient[i] * level;
    curve += product[i] * level;
    offsetSlope += gradient[i];
    across += product[i];
  }
  let next = nearestStored(scale - slope / curve, steps.scale);
  let nextMinimum = minimum;
  if (form.asymmetric) {
    const determinant = curve * total - across * across;
    next = nearestStored(scale - (slope * total - offsetSlope * across) / determinant, steps.scale);
    nextMinimum = nearestStored(minimum - (offsetSlope * curve - slope * across) / determinant, steps.minimum);
  }
  const step = next - scale;
  const offset = nextMinimum - minimum;
  const along = 2 * (step * slope + offset * offsetSlope);
  const change = along + step * step * curve + 2 * step * offset * across + offset * offset * total;
  // Also false where a number is infinite or none.
  if (!(change < 0) || !Number.isFinite(change)) return false;
  row.scale = next;
  row.minimum = nextMinimum;
  for (let i = 0; i < cols; i++) {
    gradient[i] += step * product[i];
    if (form.asymmetric) gradient[i] += offset * rowSums[i];
    values[i] = codeValue(form, row, codes[i]);
  }
  return true;
}
