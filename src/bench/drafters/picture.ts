import { type ChartLine, lineChart } from "../line-chart.ts";
import type { DrafterRow } from "./result.ts";
import { PICTURE_LINES } from "./setups.ts";

/** Colours of the lines of each kind, again from the first where there are more. */
const PALETTES = [
  ["#b3261e", "#d9822b", "#a05a8c", "#6b6b6b"],
  ["#8fc1a9", "#3f9a76", "#0b6e4f", "#08402f"],
  ["#1f4fa3"],
];

/**
 * Accepted drafts a token over the wasted share of drafts, as an SVG document: fixed exits by draft length, DSSD by
 * epsilon. Up and to the left is better. Rows that drafted nothing are left out. Throws UserError PICTURE as lineChart
 * does.
 */
export async function draftersPicture(rows: readonly DrafterRow[]): Promise<string> {
  const percent = (share: number) => `${Math.round(100 * share)} %`;
  return lineChart(
    { label: "wasted drafts, of all drafts", domain: [0, 1], format: percent },
    { label: "accepted drafts, of all tokens", domain: [0, 1] },
    linesOf(rows),
  );
}

/**
 * Rows by the lines that their drafters put them on, in the table's order; the first kind's colours are the first
 * palette's.
 */
function linesOf(rows: readonly DrafterRow[]): ChartLine[] {
  return PICTURE_LINES.flatMap(([kind, lineOf], i) => {
    const palette = PALETTES[i % PALETTES.length];
    const own = rows.filter((row) => row.kind === kind && row.wastedShare !== null);
    return [...new Set(own.map(lineOf))].map((name, j) => ({
      ...{ name, colour: palette[j % palette.length] },
      points: own
        .filter((row) => lineOf(row) === name)
        .map((row) => ({ x: row.wastedShare ?? 0, y: row.acceptedPerToken, title: row.name })),
    }));
  });
}
