/**
 * Adding it to a number below 2^51 leaves no bits behind the binary point; taking it away again leaves the rounded
 * number: several times faster than Math.round, and as the engine rounds.
 */
const NO_FRACTION = 1.5 * 2 ** 52;

/**
 * The nearest whole number, the even one of two as near (as IEEE rounds by default; Math.round goes up), for |x| <
 * 2^51.
 */
export function roundHalfToEven(x: number): number {
  return x + NO_FRACTION - NO_FRACTION;
}

/** The whole number nearest to `x` within least … most, ties to even; NaN stays NaN. */
export function nearestLevel(x: number, least: number, most: number): number {
  const rounded = x + NO_FRACTION - NO_FRACTION;
  if (rounded < least) return least;
  // A comparison, since Math.min also orders zeros and NaN and takes twice the time.
  return rounded > most ? most : rounded;
}

/** 1 / scale, and 0 for the scale 0, under which every weight has the level that stands for nothing. */
export function inverseOf(scale: number): number {
  return scale === 0 ? 0 : 1 / scale;
}
