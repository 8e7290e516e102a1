import { roundToF16 } from "../tensor/half.ts";
import { CUTS, inverseOf, LONG_GROUP, nearestLevel } from "./nearest-level.ts";

/**
 * Where the group's extreme is tried, in levels beyond the outermost one. Beyond it some weights are cut off, short of it the
 * outermost level goes unused; both can lower the error of all the others. Finer steps gain less than 1 part in 1,000.
 */
const OFFSETS: readonly number[] = Array.from({ length: 13 }, (_, i) => (i - 6) * 0.3);
/** The same for the scale's other sign, where the outermost level is the least magnitude of the two. */
const OTHER_OFFSETS: readonly number[] = Array.from({ length: 5 }, (_, i) => (i - 2) / 2);
/** Rounds of fitting the scale to the codes and choosing the codes anew. */
const REFITS = 2;
/** From so many bits on, the missing positive level weighs too little to try the scale's other sign. */
const ONE_SIGN_BITS = 5;

/** A scale and the squared error that it leaves in its group. */
export interface SymmetricFit {
  scale: number;
  error: number;
}

/**
 * The f16 scale, of either sign, that leaves the least squared error in the group x[from … to), among many candidates; the
 * plain ones, extreme / (2^(bits-1) - 1) and extreme / -2^(bits-1), are always among them. Null when f16 reaches none.
 */
export function fitSymmetric(x: Float32Array, from: number, to: number, bits: number): SymmetricFit | null {
  const extreme = extremeOf(x, from, to);
  if (extreme === 0) return { scale: 0, error: 0 };
  const half = 2 ** (bits - 1);
  let best: SymmetricFit | null = null;
  const consider = (scale: number): void => {
    if (!Number.isFinite(scale)) return;
    const error = symmetricError(x, from, to, scale, half);
    if (best === null || error < best.error) best = { scale, error };
  };
  consider(roundToF16(extreme / (half - 1)));
  consider(roundToF16(-extreme / half));
  let wanted = searchInverse(x, from, to, extreme, bits);
  let last = Number.NaN;
  for (let round = 0; round <= REFITS && roundToF16(wanted) !== last; round++) {
    last = roundToF16(wanted);
    consider(last);
    wanted = refitScale(x, from, to, 1 / wanted, half).scale;
  }
  return best;
}

/** The element of largest magnitude, with its sign. */
function extremeOf(x: Float32Array, from: number, to: number): number {
  let extreme = 0;
  for (let i = from; i < to; i++) if (Math.abs(x[i]) > Math.abs(extreme)) extreme = x[i];
  return extreme;
}

/** The best fitted scale over all candidate inverse scales, before rounding to f16. */
function searchInverse(x: Float32Array, from: number, to: number, extreme: number, bits: number): number {
  const half = 2 ** (bits - 1);
  let best = { scale: extreme / (half - 1), gain: Number.NEGATIVE_INFINITY };
  const tryLevel = (level: number): void => {
    const fit = refitScale(x, from, to, level / extreme, half);
    if (fit.gain > best.gain) best = fit;
  };
  for (const offset of OFFSETS) tryLevel(-half - offset);
  if (bits < ONE_SIGN_BITS) for (const offset of OTHER_OFFSETS) tryLevel(half - 1 + offset);
  if (to - from > LONG_GROUP) for (const cut of CUTS) tryLevel(-half * cut);
  return best.scale;
}

/**
 * Codes under an inverse scale, then the scale that fits these codes best: sum(x q) / sum(q q). `gain` is what it takes off
 * sum(x x).
 */
function refitScale(x: Float32Array, from: number, to: number, inverse: number, half: number) {
  const most = half - 1;
  let xq = 0;
  let qq = 0;
  let xqOdd = 0;
  let qqOdd = 0;
  let i = from;
  // Two weights at a time into sums of their own: additions to one sum would wait for each other.
  for (; i + 1 < to; i += 2) {
    const level = nearestLevel(x[i] * inverse, -half, most);
    const odd = nearestLevel(x[i + 1] * inverse, -half, most);
    xq += x[i] * level;
    qq += level * level;
    xqOdd += x[i + 1] * odd;
    qqOdd += odd * odd;
  }
  if (i < to) {
    const level = nearestLevel(x[i] * inverse, -half, most);
    xq += x[i] * level;
    qq += level * level;
  }
  xq += xqOdd;
  qq += qqOdd;
  return qq > 0 ? { scale: xq / qq, gain: (xq * xq) / qq } : { scale: 1 / inverse, gain: 0 };
}

/** Sum of squared errors of a group under a scale. */
function symmetricError(x: Float32Array, from: number, to: number, scale: number, half: number): number {
  const inverse = inverseOf(scale);
  const most = half - 1;
  let sum = 0;
  let sumOdd = 0;
  let i = from;
  for (; i + 1 < to; i += 2) {
    const error = x[i] - scale * nearestLevel(x[i] * inverse, -half, most);
    const odd = x[i + 1] - scale * nearestLevel(x[i + 1] * inverse, -half, most);
    sum += error * error;
    sumOdd += odd * odd;
  }
  if (i < to) {
    // A product: `** 2` may be rounded otherwise, and differently before and after it is compiled.
    const error = x[i] - scale * nearestLevel(x[i] * inverse, -half, most);
    sum += error * error;
  }
  return sum + sumOdd;
}
