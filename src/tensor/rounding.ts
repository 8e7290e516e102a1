/** Adding it to a number below 2^51 leaves no bits behind the binary point; taking it away again leaves the rounded number. */
const NO_FRACTION = 1.5 * 2 ** 52;

/** The nearest whole number, the even one of two as near (as IEEE rounds by default; Math.round goes up), for |x| < 2^51. */
export function roundHalfToEven(x: number): number {
  return x + NO_FRACTION - NO_FRACTION;
}
