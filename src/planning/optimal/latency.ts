import type { MilpColumn, MilpSolver } from "./milp.ts";
import type { Segment, SegmentChoice } from "./segments.ts";

/** Within this of the optimum, relative to the loss: the proof of the rest takes minutes. */
const RELATIVE_GAP = 1e-4;
/** Losses are scaled so that the largest has this size: the solver's tolerances are then far below what counts. */
const LARGEST_COST = 1e4;
/** Below the bound by more than the solver's tolerance on it. */
const SAFETY = 1 - 1e-7;

/** What the program looks at of a segment. */
type TimedSegment = Pick<Segment, "align"> & {
  readonly forms: readonly (Omit<Segment["forms"][number], "items"> & { readonly items: readonly TimedItem[] })[];
};
type TimedItem = Pick<Segment["forms"][number]["items"][number], "options" | "ms">;

/**
 * The form of every segment and the option of every item that it then has with the least loss whose bytes and
 * milliseconds fit, to within 0.01 %. One program for the whole model: a whole number a option and a form, and one a
 * segment for the pages that it takes. Null where nothing fits.
 */
export function solveWithLatency(
  segments: readonly TimedSegment[],
  capacityBytes: number,
  msPerToken: number,
  solver: MilpSolver,
): SegmentChoice[] | null {
  const forms = segments.flatMap((segment) => segment.forms);
  const items = forms.flatMap((form) => form.items);
  const losses = [...forms.map(({ loss }) => loss), ...items.flatMap(({ options }) => options.map(({ loss }) => loss))];
  const largest = Math.max(...losses);
  const unit = largest > 0 ? LARGEST_COST / largest : 1;
  // Rows: an option for each item where its form is chosen; a form a segment; a segment's pages; bytes; milliseconds.
  const formRow = (segment: number) => items.length + segment;
  const pagesRow = (segment: number) => formRow(segments.length) + segment;
  const bytesRow = pagesRow(segments.length);
  const msRow = bytesRow + 1;
  const columns: MilpColumn[] = [];
  let row = 0;
  segments.forEach(({ forms: own, align }, s) => {
    for (const { items: ofForm, fixedBytes, outsideBytes, loss } of own) {
      const chosen = ofForm.map((_, item): [number, number] => [row + item, -1]);
      const entries: [number, number][] = [
        ...chosen,
        [formRow(s), 1],
        [pagesRow(s), fixedBytes / align],
        [bytesRow, outsideBytes],
      ];
      columns.push({ cost: loss * unit, lower: 0, upper: 1, whole: true, entries });
      for (const { options, ms } of ofForm) {
        options.forEach(({ bytes, loss: ofOption }, option) => {
          const ofItem: [number, number][] = [
            [row, 1],
            [pagesRow(s), bytes / align],
            [msRow, ms[option] / msPerToken],
          ];
          columns.push({ cost: ofOption * unit, lower: 0, upper: 1, whole: true, entries: ofItem });
        });
        row++;
      }
    }
  });
  // Pages of each segment: at least its bytes, and together within the capacity.
  segments.forEach(({ forms: own, align }, s) => {
    const entries: [number, number][] = [
      [pagesRow(s), -1],
      [bytesRow, align],
    ];
    const upper = Math.ceil(Math.max(...own.map(mostBytes)) / align);
    columns.push({ cost: 0, lower: 0, upper, whole: align > 1, entries });
  });
  const none = Number.NEGATIVE_INFINITY;
  const rows = [
    ...items.map(() => ({ lower: 0, upper: 0 })),
    ...segments.map(() => ({ lower: 1, upper: 1 })),
    ...segments.map(() => ({ lower: none, upper: 0 })),
    { lower: none, upper: capacityBytes },
    { lower: none, upper: SAFETY },
  ];
  const values = solver({ columns, rows, relativeGap: RELATIVE_GAP });
  return values && readChoices(segments, values);
}

function mostBytes({ items, fixedBytes }: TimedSegment["forms"][number]): number {
  const most = items.map(({ options }) => Math.max(...options.map(({ bytes }) => bytes)));
  return most.reduce((sum, bytes) => sum + bytes, fixedBytes);
}

/** The form of each segment, and the option of each of its items, whose columns are 1; columns come form by form. */
function readChoices(segments: readonly TimedSegment[], values: Float64Array): SegmentChoice[] {
  let at = 0;
  return segments.map(({ forms }) => {
    const found = forms.map(({ items }, form) => {
      const chosen = values[at++];
      const picks = items.map(({ options }) => {
        const own = values.subarray(at, at + options.length);
        at += options.length;
        return own.indexOf(Math.max(...own));
      });
      return { chosen, form, picks };
    });
    return found.reduce((best, one) => (one.chosen > best.chosen ? one : best));
  });
}
