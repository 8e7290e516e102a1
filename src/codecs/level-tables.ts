/**
 * The levels of the table codecs: what each code stands for under a scale of either sign.
 *
 * Fixed numbers, part of the artifact format. `npm run derive:level-tables` derives them: they leave the least squared
 * error (a local optimum) in groups of 32 normal weights when each group has the scale that suits it best. Ascending,
 * int8, the largest magnitude
 * 127. Since the scale's sign is free, a table need not be symmetric, and an uneven one serves the group's extreme
 *      better.
 */
const LEVELS: Readonly<Record<number, readonly number[]>> = {
  2: [-127, -43, 18, 89],
  3: [-127, -77, -45, -18, 7, 33, 63, 104],
  4: [-127, -92, -72, -56, -41, -28, -15, -3, 9, 21, 34, 48, 63, 80, 101, 125],
  5: [
    -127, -106, -95, -85, -75, -67, -59, -51, -44, -37, -31, -24, -18, -12, -7, -2, 4, 9, 14, 19, 24, 30, 37, 43, 51,
    58, 66, 74, 82, 92, 103, 116,
  ],
};

/** The levels of codes 0 … 2^bits - 1. A TypeError where no table has that width. */
export function levelTable(bits: number): Int8Array {
  const levels = LEVELS[bits];
  if (!levels) throw new TypeError(`no table of ${bits} bits`);
  return Int8Array.from(levels);
}
