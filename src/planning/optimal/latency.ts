import type { MilpColumn, MilpSolver } from "./milp.ts";
import type { Segment } from "./segments.ts";

/** Within this of the optimum, relative to the loss: the proof of the rest takes minutes. */
const RELATIVE_GAP = 1e-4;
/** Losses are scaled so that the largest has this size: the solver's tolerances are then far below what counts. */
const LARGEST_COST = 1e4;
/** Below the bound by more than the solver's tolerance on it. */
const SAFETY = 1 - 1e-7;

/**
 * The option of every item of every segment with the least loss whose bytes and milliseconds fit, to within 0.01 %. One
 * program for the whole model: a whole number a option, and one a segment for the pages that it takes. Null where
 * nothing fits.
 */
export function solveWithLatency(
  segments: readonly Segment[],
  capacityBytes: number,
  msPerToken: number,
  solver: MilpSolver,
): number[][] | null {
  const items = segments.flatMap(({ items: own }) => own);
  const largest = Math.max(...items.flatMap(({ options }) => options.map(({ loss }) => loss)));
  const unit = largest > 0 ? LARGEST_COST / largest : 1;
  const segmentRow = (segment: number) => items.length + segment;
  const bytesRow = items.length + segments.length;
  const msRow = bytesRow + 1;
  const columns: MilpColumn[] = [];
  let row = 0;
  segments.forEach((segment, s) => {
    for (const { options, ms } of segment.items) {
      options.forEach(({ bytes, loss }, option) => {
        const entries: [number, number][] = [
          [row, 1],
          [segmentRow(s), bytes / segment.align],
          [msRow, ms[option] / msPerToken],
        ];
        columns.push({ cost: loss * unit, lower: 0, upper: 1, whole: true, entries });
      });
      row++;
    }
  });
  // Pages of each segment: at least its bytes, and together within the capacity.
  segments.forEach(({ align }, s) => {
    const entries: [number, number][] = [
      [segmentRow(s), -1],
      [bytesRow, align],
    ];
    const upper = Math.floor(capacityBytes / align);
    columns.push({ cost: 0, lower: 0, upper, whole: align > 1, entries });
  });
  const rows = [
    ...items.map(() => ({ lower: 1, upper: 1 })),
    ...segments.map(({ fixedBytes, align }) => ({ lower: Number.NEGATIVE_INFINITY, upper: -fixedBytes / align })),
    { lower: Number.NEGATIVE_INFINITY, upper: capacityBytes },
    { lower: Number.NEGATIVE_INFINITY, upper: SAFETY },
  ];
  const values = solver({ columns, rows, relativeGap: RELATIVE_GAP });
  return values && readOptions(segments, values);
}

/** The option of each item whose column is 1; columns come segment by segment, item by item. */
function readOptions(segments: readonly Segment[], values: Float64Array): number[][] {
  let at = 0;
  return segments.map(({ items }) =>
    items.map(({ options }) => {
      const own = values.subarray(at, at + options.length);
      at += options.length;
      return own.indexOf(Math.max(...own));
    }),
  );
}
