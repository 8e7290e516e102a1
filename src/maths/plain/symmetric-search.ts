import { scaleCodeFor } from "../../codecs/two-level.ts";
import { inverseOf } from "../../tensor/rounding.ts";
import { nearestOf } from "../level-form.ts";
import { CUTS, type Fit, LONG_GROUP, type SearchGroup } from "./search-group.ts";

/**
 * Where the group's extreme is tried, in gaps beyond the outermost level. Beyond it some weights are cut off, short of
 * it the outermost level goes unused; both can lower the error of all the others. Finer steps gain less than 1 part in
 * 1,000.
 */
const OFFSETS: readonly number[] = Array.from({ length: 13 }, (_, i) => (i - 6) * 0.3);
/** The same for the scale's other sign, where the outermost whole number is the least magnitude of the two. */
const OTHER_OFFSETS: readonly number[] = Array.from({ length: 5 }, (_, i) => (i - 2) / 2);
/** Rounds of fitting the scale to the codes and choosing the codes anew. */
const REFITS = 2;
/** From so many bits on, the missing positive level weighs too little to try the scale's other sign. */
const ONE_SIGN_BITS = 5;

/**
 * The stored scale, of either sign, that leaves the least weighted squared error in a group, among many candidates; the
 * plain ones, extreme / most and extreme / least, are always among them. Null when the stored type reaches none.
 */
export function fitSymmetric(group: SearchGroup): Fit | null {
  const extreme = extremeOf(group);
  if (extreme === 0) return { scale: 0, minimum: 0, error: 0 };
  const { form, stored } = group;
  const scales = [stored(extreme / form.most), stored(extreme / form.least)];
  let wanted = searchInverse(group, extreme);
  let last = Number.NaN;
  for (let round = 0; round <= REFITS && stored(wanted) !== last; round++) {
    last = stored(wanted);
    scales.push(last);
    wanted = refitScale(group, 1 / wanted).scale;
  }
  return leastError(group, scales);
}

/** The best of the int8 scale codes around scale / rowScale: two-level scales. */
export function snapSymmetric(group: SearchGroup, scale: number, rowScale: number): Fit | null {
  return leastError(
    group,
    [0, -1, 1].map((by) => scaleCodeFor(scale, rowScale, by) * rowScale),
  );
}

/** The first of the least errors among finite scales. */
function leastError(group: SearchGroup, scales: readonly number[]): Fit | null {
  let best: Fit | null = null;
  for (const scale of scales) {
    if (!Number.isFinite(scale)) continue;
    const error = symmetricError(group, scale);
    if (best === null || error < best.error) best = { scale, minimum: 0, error };
  }
  return best;
}

/** The element of largest magnitude, with its sign. */
function extremeOf({ x, from, to }: SearchGroup): number {
  let extreme = 0;
  for (let i = from; i < to; i++) if (Math.abs(x[i]) > Math.abs(extreme)) extreme = x[i];
  return extreme;
}

/** The best fitted scale over all candidate inverse scales, before rounding. */
function searchInverse(group: SearchGroup, extreme: number): number {
  const { bits, table, least, most, gapLow, gapHigh } = group.form;
  let best = { scale: extreme / most, gain: Number.NEGATIVE_INFINITY };
  const tryLevel = (level: number): void => {
    const fit = refitScale(group, level / extreme);
    if (fit.gain > best.gain) best = fit;
  };
  for (const offset of OFFSETS) tryLevel(least - offset * gapLow);
  if (table) for (const offset of OFFSETS) tryLevel(most + offset * gapHigh);
  else if (bits < ONE_SIGN_BITS) for (const offset of OTHER_OFFSETS) tryLevel(most + offset);
  if (group.to - group.from > LONG_GROUP) for (const cut of CUTS) tryLevel(least * cut);
  return best.scale;
}

/**
 * Codes under an inverse scale, then the scale that fits these codes best: sum(w x q) / sum(w q q). `gain` is what it
 * takes off sum(w x x).
 */
function refitScale({ x, from, to, weights, shift, form }: SearchGroup, inverse: number) {
  let xq = 0;
  let qq = 0;
  let xqOdd = 0;
  let qqOdd = 0;
  let i = from;
  // Two weights at a time into sums of their own: additions to one sum would wait for each other.
  for (; i + 1 < to; i += 2) {
    const level = nearestOf(form, x[i] * inverse);
    const odd = nearestOf(form, x[i + 1] * inverse);
    const w = weights[i - shift];
    const oddW = weights[i + 1 - shift];
    xq += w * x[i] * level;
    qq += w * level * level;
    xqOdd += oddW * x[i + 1] * odd;
    qqOdd += oddW * odd * odd;
  }
  if (i < to) {
    const level = nearestOf(form, x[i] * inverse);
    const w = weights[i - shift];
    xq += w * x[i] * level;
    qq += w * level * level;
  }
  xq += xqOdd;
  qq += qqOdd;
  return qq > 0 ? { scale: xq / qq, gain: (xq * xq) / qq } : { scale: 1 / inverse, gain: 0 };
}

/** Sum of weighted squared errors of a group under a scale. */
function symmetricError({ x, from, to, weights, shift, form }: SearchGroup, scale: number): number {
  const inverse = inverseOf(scale);
  let sum = 0;
  let sumOdd = 0;
  let i = from;
  for (; i + 1 < to; i += 2) {
    const error = x[i] - scale * nearestOf(form, x[i] * inverse);
    const odd = x[i + 1] - scale * nearestOf(form, x[i + 1] * inverse);
    sum += error * error * weights[i - shift];
    sumOdd += odd * odd * weights[i + 1 - shift];
  }
  if (i < to) {
    // A product: `** 2` may be rounded otherwise, and differently before and after it is compiled.
    const error = x[i] - scale * nearestOf(form, x[i] * inverse);
    sum += error * error * weights[i - shift];
  }
  return sum + sumOdd;
}
