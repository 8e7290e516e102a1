import type { Codec } from "../codecs/codec.ts";
import { MOST_SCALE_CODE } from "../codecs/two-level.ts";
import type { DenseMatrix } from "../model/weight-source.ts";

/** The smallest step of f16 numbers. */
const F16_STEP = 2 ** -24;
/** Numbers of so many steps and more are near enough to whole multiples; more where the ends of a group are cut off. */
const ENOUGH_STEPS = { symmetric: 4, asymmetric: 16 } as const;
/** Magnitudes below which a float codec keeps fewer than 6 bits; f32 keeps what a checkpoint has. */
const FLOAT_LEAST: Readonly<Record<string, number>> = { f16: 2 ** -18, bf16: 2 ** -126, f32: 0 };

/** Sums of squares: of all weights, and of those that a codec's range may cost something. */
export interface Share {
  readonly all: number;
  readonly doubtful: number;
}

/** A group's extremes and sum of squares. */
interface Group {
  readonly least: number;
  readonly most: number;
  readonly squares: number;
}

/**
 * What share of a matrix lies in groups whose best scale (or spread beside their minimum) is a few steps or less of the
 * numbers that the codec stores it as. All others are stored as well as under scales of any size. One pass over the
 * weights.
 */
export function doubtfulShare(matrix: DenseMatrix, codec: Codec): Share {
  if (codec.scheme === "float") return floatShare(matrix, FLOAT_LEAST[codec.id]);
  let [all, doubtful] = [0, 0];
  for (let row = 0; row < matrix.rows; row++) {
    const groups = groupsOf(matrix, row, codec.group ?? matrix.cols);
    const isDoubtful = doubtIn(groups, codec);
    for (const group of groups) {
      all += group.squares;
      if (isDoubtful(group)) doubtful += group.squares;
    }
  }
  return { all, doubtful };
}

function floatShare({ data }: DenseMatrix, least: number): Share {
  let [all, doubtful] = [0, 0];
  for (let i = 0; i < data.length; i++) {
    const square = data[i] * data[i];
    all += square;
    if (Math.abs(data[i]) < least) doubtful += square;
  }
  return { all, doubtful };
}

function groupsOf({ data, cols }: DenseMatrix, row: number, width: number): Group[] {
  const groups: Group[] = [];
  for (let from = row * cols; from < (row + 1) * cols; from += width) {
    const to = Math.min(from + width, (row + 1) * cols);
    let [least, most, squares] = [data[from], data[from], 0];
    for (let i = from; i < to; i++) {
      const x = data[i];
      squares += x * x;
      if (x < least) least = x;
      else if (x > most) most = x;
    }
    groups.push({ least, most, squares });
  }
  return groups;
}

/** Whether a group of a row is doubtful. */
function doubtIn(groups: readonly Group[], codec: Codec): (group: Group) => boolean {
  const twoLevel = codec.scaleKind === "two-level";
  const stepOf = (numbers: readonly number[]) => (twoLevel ? Math.max(...numbers) / MOST_SCALE_CODE : F16_STEP);
  if (codec.scheme !== "asymmetric") {
    const outermost = codec.levels?.reduce((most, level) => Math.max(most, Math.abs(level)), 0) ?? 1;
    const scaleOf = (group: Group) => extremeOf(group) / outermost;
    const step = stepOf(groups.map(scaleOf));
    return (group) => scaleOf(group) < ENOUGH_STEPS.symmetric * step;
  }
  const spreadOf = ({ least, most }: Group) => most - least;
  const scaleOf = (group: Group) => spreadOf(group) / (2 ** codec.bits - 1);
  const step = stepOf(groups.map(scaleOf));
  const minimumStep = stepOf(groups.map(({ least }) => Math.abs(least)));
  const enough = ENOUGH_STEPS.asymmetric;
  return (group) => scaleOf(group) < enough * step || spreadOf(group) < enough * minimumStep;
}

function extremeOf({ least, most }: Group): number {
  return Math.max(Math.abs(least), Math.abs(most));
}
