import { roundToF16 } from "../tensor/half.ts";
import { CUTS, inverseOf, LONG_GROUP, nearestLevel } from "./nearest-level.ts";

/** Levels more or fewer than there are over which the group's range is spread: more cuts the ends off. */
const OFFSETS: readonly number[] = Array.from({ length: 11 }, (_, i) => (i - 3) / 4);
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
  const consider = (scale: number, minimum: number): void => {
    if (!Number.isFinite(scale) || !Number.isFinite(minimum)) return;
    const error = asymmetricError(x, from, to, scale, minimum, top);
    if (best === null || error < best.error) best = { scale, minimum, error };
  };
  const lowest = Math.min(least, 0);
  consider(roundToF16((most - least) / top), roundToF16(least));
  consider(roundToF16((Math.max(most, 0) - lowest) / top), roundToF16(lowest));
  if (most > least) {
    let wanted = searchFit(x, from, to, least, most, top);
    for (let round = 0; round <= REFITS; round++) {
      consider(roundToF16(wanted.scale), roundToF16(wanted.minimum));
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
  const trySpread = (levels: number): void => {
    const inverse = levels / (most - least);
    // Spread about the middle, so that both ends are cut off or left unused alike.
    const fit = refit(x, from, to, inverse, middle - top / 2 / inverse, top);
    if (fit.gain > best.gain) best = fit;
  };
  for (const offset of OFFSETS) trySpread(top + offset);
  if (to - from > LONG_GROUP) for (const cut of CUTS) trySpread(top * cut);
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
  let sumXqOdd = 0;
  let sumQqOdd = 0;
  let i = from;
  // Two weights at a time into sums of their own: additions to one sum would wait for each other.
  for (; i + 1 < to; i += 2) {
    const code = nearestLevel((x[i] - minimum) * inverse, 0, top);
    const odd = nearestLevel((x[i + 1] - minimum) * inverse, 0, top);
    sumX += x[i] + x[i + 1];
    sumQ += code + odd;
    sumXq += x[i] * code;
    sumQq += code * code;
    sumXqOdd += x[i + 1] * odd;
    sumQqOdd += odd * odd;
  }
  if (i < to) {
    const code = nearestLevel((x[i] - minimum) * inverse, 0, top);
    sumX += x[i];
    sumQ += code;
    sumXq += x[i] * code;
    sumQq += code * code;
  }
  sumXq += sumXqOdd;
  sumQq += sumQqOdd;
  const spread = count * sumQq - sumQ * sumQ;
  if (spread <= 0) return { scale: 1 / inverse, minimum, gain: Number.NEGATIVE_INFINITY };
  const scale = (count * sumXq - sumX * sumQ) / spread;
  const offset = (sumX - scale * sumQ) / count;
  return { scale, minimum: offset, gain: scale * sumXq + offset * sumX };
}

/** Sum of squared errors of a group under scale and minimum. */
function asymmetricError(
  x: Float32Array,
  from: number,
  to: number,
  scale: number,
  minimum: number,
  top: number,
): number {
  const inverse = inverseOf(scale);
  let sum = 0;
  for (let i = from; i < to; i++) {
    const error = x[i] - (scale * nearestLevel((x[i] - minimum) * inverse, 0, top) + minimum);
    sum += error * error;
  }
  return sum;
}
