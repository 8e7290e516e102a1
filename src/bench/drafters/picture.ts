import type { DrafterRow } from "./result.ts";
import { PICTURE_LINES } from "./setups.ts";

const WIDTH = 760;
const HEIGHT = 460;
const MARGIN = { left: 70, right: 200, top: 20, bottom: 50 };
/** Colours of the lines of each kind, again from the first where there are more. */
const PALETTES = [
  ["#b3261e", "#d9822b", "#a05a8c", "#6b6b6b"],
  ["#8fc1a9", "#3f9a76", "#0b6e4f", "#08402f"],
  ["#1f4fa3"],
];
/** Tenths from 0 to 1, on both axes. */
const TICKS = Array.from({ length: 6 }, (_, i) => i / 5);

/** Points of one colour, joined in order. */
interface Line {
  readonly name: string;
  readonly colour: string;
  readonly rows: readonly DrafterRow[];
}

/**
 * Accepted drafts a token over the wasted share of drafts, as an SVG document: fixed exits by draft length, DSSD by epsilon. Up and to the left is
 * better. Rows that drafted nothing are left out.
 */
export function draftersPicture(rows: readonly DrafterRow[]): string {
  const lines = linesOf(rows.filter(({ wastedShare }) => wastedShare !== null));
  const body = [...frame(), ...lines.flatMap((line, i) => [...drawn(line), ...legend(line, i)])];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="13">\n<rect width="100%" height="100%" fill="#fff"/>\n${body.join("\n")}\n</svg>\n`;
}

/** Rows by the lines that their drafters put them on, in the table's order; the first kind's colours are the first palette's. */
function linesOf(rows: readonly DrafterRow[]): Line[] {
  return PICTURE_LINES.flatMap(([kind, lineOf], i) => {
    const palette = PALETTES[i % PALETTES.length];
    const own = rows.filter((row) => row.kind === kind);
    return [...new Set(own.map(lineOf))].map((name, j) => ({
      ...{ name, colour: palette[j % palette.length] },
      rows: own.filter((row) => lineOf(row) === name),
    }));
  });
}

const x = (share: number) => MARGIN.left + share * (WIDTH - MARGIN.left - MARGIN.right);
const y = (accepted: number) => MARGIN.top + (1 - accepted) * (HEIGHT - MARGIN.top - MARGIN.bottom);

function text(at: readonly [number, number], content: string, more = ""): string {
  return `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" ${more}>${content}</text>`;
}

function frame(): string[] {
  const middle = y(0.5);
  return [
    `<g stroke="#ddd">${TICKS.map((at) => `<path d="M${x(at)} ${y(0)}V${y(1)}"/><path d="M${x(0)} ${y(at)}H${x(1)}"/>`).join("")}</g>`,
    ...TICKS.map((at) => text([x(at), y(0) + 18], `${Math.round(100 * at)} %`, 'text-anchor="middle"')),
    ...TICKS.map((at) => text([x(0) - 8, y(at) + 4], at.toFixed(1), 'text-anchor="end"')),
    text([x(0.5), HEIGHT - 8], "wasted drafts, of all drafts", 'text-anchor="middle"'),
    text(
      [0, 0],
      "accepted drafts, of all tokens",
      `text-anchor="middle" transform="translate(18 ${middle}) rotate(-90)"`,
    ),
  ];
}

function drawn({ colour, rows }: Line): string[] {
  const places = rows.map((row) => [x(row.wastedShare ?? 0), y(row.acceptedPerToken)].map((at) => at.toFixed(1)));
  return [
    `<polyline points="${places.map((place) => place.join()).join(" ")}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    ...places.map(([cx, cy], i) => {
      return `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour}"><title>${rows[i].name}</title></circle>`;
    }),
  ];
}

function legend({ name, colour }: Line, line: number): string[] {
  const [left, top] = [x(1) + 16, MARGIN.top + 16 + 20 * line];
  return [`<path d="M${left} ${top}h24" stroke="${colour}" stroke-width="2"/>`, text([left + 32, top + 4], name)];
}
