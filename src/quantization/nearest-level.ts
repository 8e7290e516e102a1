/** Adding and taking away 1.5 * 2^52 rounds a double to the nearest integer, ties to even: several times faster than Math.round. */
const ROUNDER = 6755399441055744;

/** The whole number nearest to `x` within least … most. */
export function nearestLevel(x: number, least: number, most: number): number {
  const rounded = x + ROUNDER - ROUNDER;
  if (rounded < least) return least;
  // A comparison, since Math.min also orders zeros and NaN and takes twice the time.
  return rounded > most ? most : rounded;
}

/** 1 / scale, and 0 for the scale 0, under which every weight has the level that stands for nothing. */
export function inverseOf(scale: number): number {
  return scale === 0 ? 0 : 1 / scale;
}

/** Columns from which on a group is long: rare extremes weigh little then, and cutting them off by these factors pays. */
export const LONG_GROUP = 48;
export const CUTS: readonly number[] = [1.1, 1.2, 1.3, 1.45, 1.6, 1.8, 2.1, 2.5, 3];
