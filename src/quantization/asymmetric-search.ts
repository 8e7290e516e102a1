import { roundToF16 } from "../tensor/half.ts";

const ROUNDER = 6755399441055744;

/** Levels more or fewer than there are over which the group's range is spread: more cuts the ends off. */
const OFFSETS: readonly number[] = Array.from({ length: 16 }, (_, i) => (i - 5) / 10);
/** Rounds of fitting scale and minimum to the codes and choosing the codes anew. */
const REFITS = 2;

/** Scale, minimum and the squared error that they leave in their group. */
export interface AsymmetricFit {
  scale: number;
  minimum: number;
  error: number;
}

/**
 * The f16 scale and minimum that leave the least squared error in the group x[from … to), among many candidates; the plain
 * ones, minimum = least element and minimum = min(least, 0), are always among them. Null when f16 reaches none.
 */
export function fitAsymmetric(x: Float32Array, from: number, to: number, bits: number): AsymmetricFit | null {
  const { least, most } = rangeOf(x, from, to);
  const top = 2 ** bits - 1;
  let best: AsymmetricFit | null = null;
  const consider = (wantedScale: number, wantedMinimum: number): void => {
    const scale = roundToF16(wantedScale);
    const minimum = roundToF16(wantedMinimum);
    if (!Number.isFinite(scale) || !Number.isFinite(minimum)) return;
    const error = asymmetricError(x, from, to, scale, minimum, top);
    if (best === null || error < best.error) best = { scale, minimum, error };
  };
  consider((most - least) / top, least);
  consider((Math.max(most, 0) - Math.min(least, 0)) / top, Math.min(least, 0));
  if (most > least) {
    let wanted = searchFit(x, from, to, least, most, top);
    for (let round = 0; round <= REFITS; round++) {
      consider(wanted.scale, wanted.minimum);
      wanted = refit(x, from, to, 1 / wanted.scale, wanted.minimum, top);
    }
  }
  return best;
}

function rangeOf(x: Float32Array, from: number, to: number) {
  let least = x[from];
  let most = x[from];
  for (let i = from + 1; i < to; i++) {
    if (x[i] < least) least = x[i];
    else if (x[i] > most) most = x[i];
  }
  return { least, most };
}

/** The best fit over all candidate spreads, before rounding to f16. */
function searchFit(x: Float32Array, from: number, to: number, least: number, most: number, top: number) {
  const middle = (least + most) / 2;
  let best = { scale: (most - least) / top, minimum: least, gain: Number.NEGATIVE_INFINITY };
  for (const offset of OFFSETS) {
    const inverse = (top + offset) / (most - least);
    // Spread about the middle, so that both ends are cut off or left unused alike.
    const fit = refit(x, from, to, inverse, middle - top / 2 / inverse, top);
    if (fit.gain > best.gain) best = fit;
  }
  return best;
}

/**
 * Codes under an inverse scale and a minimum, then the least-squares line through (code, weight). `gain` is what it takes off
 * sum(x x).
 */
function refit(x: Float32Array, from: number, to: number, inverse: number, minimum: number, top: number) {
  const count = to - from;
  let sumX = 0;
  let sumQ = 0;
  let sumXq = 0;
  let sumQq = 0;
  for (let i = from; i < to; i++) {
    const rounded = (x[i] - minimum) * inverse + ROUNDER - ROUNDER;
    const code = rounded < 0 ? 0 : rounded > top ? top : rounded;
    sumX += x[i];
    sumQ += code;
    sumXq += x[i] * code;
    sumQq += code * code;
  }
  const spread = count * sumQq - sumQ * sumQ;
  if (spread <= 0) return { scale: 1 / inverse, minimum, gain: Number.NEGATIVE_INFINITY };
  const scale = (count * sumXq - sumX * sumQ) / spread;
  const offset = (sumX - scale * sumQ) / count;
  return { scale, minimum: offset, gain: scale * sumXq + offset * sumX };
}

/** Code of a weight under scale and minimum: the nearest of 0 … top. */
export function asymmetricCode(x: number, scale: number, minimum: number, top: number): number {
  if (scale === 0) return 0;
  const rounded = (x - minimum) / scale + ROUNDER - ROUNDER;
  return rounded < 0 ? 0 : rounded > top ? top : rounded;
}

/** Sum of squared errors of a group under scale and minimum. */
export function asymmetricError(
  x: Float32Array,
  from: number,
  to: number,
  scale: number,
  minimum: number,
  top: number,
): number {
  let sum = 0;
  for (let i = from; i < to; i++) {
    const error = x[i] - (scale * asymmetricCode(x[i], scale, minimum, top) + minimum);
    sum += error * error;
  }
  return sum;
}
