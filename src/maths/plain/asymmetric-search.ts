import { scaleCodeFor } from "../../codecs/two-level.ts";
import { inverseOf, nearestLevel } from "../../tensor/rounding.ts";
import { CUTS, type Fit, LONG_GROUP, type SearchGroup } from "./search-group.ts";

/** Levels more or fewer than there are over which the group's range is spread: more cuts the ends off. */
const OFFSETS: readonly number[] = Array.from({ length: 11 }, (_, i) => (i - 3) / 4);
/** Rounds of fitting scale and minimum to the codes and choosing the codes anew. */
const REFITS = 2;

/** What the candidates of a group share. */
interface Range {
  readonly least: number;
  readonly most: number;
  /** Sums of weights and of weighted x, pairs added first. */
  readonly sumW: number;
  readonly sumX: number;
}

/**
 * The stored scale and minimum that leave the least weighted squared error in a group, among many candidates; the plain
 * ones, minimum = least element and minimum = min(least, 0), are always among them. Null when the stored type reaches
 * none.
 */
export function fitAsymmetric(group: SearchGroup): Fit | null {
  const { stored, form } = group;
  const range = rangeOf(group);
  const { least, most } = range;
  const top = form.most;
  const tried: Pair[] = [];
  const consider = (scale: number, minimum: number) => tried.push([stored(scale), stored(minimum)]);
  const lowest = Math.min(least, 0);
  consider((most - least) / top, least);
  consider((Math.max(most, 0) - lowest) / top, lowest);
  if (most > least) {
    let wanted = searchFit(group, range);
    for (let round = 0; round <= REFITS; round++) {
      consider(wanted.scale, wanted.minimum);
      wanted = refit(group, range, 1 / wanted.scale, wanted.minimum);
    }
  }
  return leastError(group, tried);
}

/** The best pair of the int8 codes around scale / rowScale and minimum / rowMinimum: two-level scales. */
export function snapAsymmetric(group: SearchGroup, [scale, minimum]: Pair, [rowScale, rowMinimum]: Pair): Fit | null {
  const steps = [0, -1, 1];
  const pairs = steps.flatMap((i) =>
    steps.map(
      (j): Pair => [scaleCodeFor(scale, rowScale, i) * rowScale, scaleCodeFor(minimum, rowMinimum, j) * rowMinimum],
    ),
  );
  return leastError(group, pairs);
}

/** A scale and a minimum. */
type Pair = readonly [number, number];

/** The first of the least errors among finite pairs. */
function leastError(group: SearchGroup, pairs: readonly Pair[]): Fit | null {
  let best: Fit | null = null;
  for (const [scale, minimum] of pairs) {
    if (!Number.isFinite(scale) || !Number.isFinite(minimum)) continue;
    const error = asymmetricError(group, scale, minimum);
    if (best === null || error < best.error) best = { scale, minimum, error };
  }
  return best;
}

function rangeOf({ x, from, to, weights, shift }: SearchGroup): Range {
  let least = x[from];
  let most = x[from];
  for (let i = from + 1; i < to; i++) {
    if (x[i] < least) least = x[i];
    else if (x[i] > most) most = x[i];
  }
  let sumW = 0;
  let sumX = 0;
  let i = from;
  for (; i + 1 < to; i += 2) {
    const [w, oddW] = [weights[i - shift], weights[i + 1 - shift]];
    sumW += w + oddW;
    sumX += w * x[i] + oddW * x[i + 1];
  }
  if (i < to) {
    sumW += weights[i - shift];
    sumX += weights[i - shift] * x[i];
  }
  return { least, most, sumW, sumX };
}

/** The best fit over all candidate spreads, before rounding. */
function searchFit(group: SearchGroup, range: Range) {
  const { least, most } = range;
  const top = group.form.most;
  const middle = (least + most) / 2;
  let best = { scale: (most - least) / top, minimum: least, gain: Number.NEGATIVE_INFINITY };
  const trySpread = (levels: number): void => {
    const inverse = levels / (most - least);
    // Spread about the middle, so that both ends are cut off or left unused alike.
    const fit = refit(group, range, inverse, middle - top / 2 / inverse);
    if (fit.gain > best.gain) best = fit;
  };
  for (const offset of OFFSETS) trySpread(top + offset);
  if (group.to - group.from > LONG_GROUP) for (const cut of CUTS) trySpread(top * cut);
  return best;
}

/**
 * Codes under an inverse scale and a minimum, then the weighted least-squares line through (code, x). `gain` is what it
 * takes off sum(w x x).
 */
function refit(group: SearchGroup, { sumW, sumX }: Range, inverse: number, minimum: number) {
  const { x, from, to, weights, shift } = group;
  const top = group.form.most;
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
    const weighted = weights[i - shift] * code;
    const oddWeighted = weights[i + 1 - shift] * odd;
    sumQ += weighted + oddWeighted;
    sumXq += weights[i - shift] * x[i] * code;
    sumQq += weighted * code;
    sumXqOdd += weights[i + 1 - shift] * x[i + 1] * odd;
    sumQqOdd += oddWeighted * odd;
  }
  if (i < to) {
    const code = nearestLevel((x[i] - minimum) * inverse, 0, top);
    const weighted = weights[i - shift] * code;
    sumQ += weighted;
    sumXq += weights[i - shift] * x[i] * code;
    sumQq += weighted * code;
  }
  sumXq += sumXqOdd;
  sumQq += sumQqOdd;
  const spread = sumW * sumQq - sumQ * sumQ;
  if (spread <= 0) return { scale: 1 / inverse, minimum, gain: Number.NEGATIVE_INFINITY };
  const scale = (sumW * sumXq - sumX * sumQ) / spread;
  const offset = (sumX - scale * sumQ) / sumW;
  return { scale, minimum: offset, gain: scale * sumXq + offset * sumX };
}

/** Sum of weighted squared errors of a group under scale and minimum. */
function asymmetricError(group: SearchGroup, scale: number, minimum: number): number {
  const { x, from, to, weights, shift } = group;
  const top = group.form.most;
  const inverse = inverseOf(scale);
  let sum = 0;
  for (let i = from; i < to; i++) {
    const error = x[i] - (scale * nearestLevel((x[i] - minimum) * inverse, 0, top) + minimum);
    sum += error * error * weights[i - shift];
  }
  return sum;
}
