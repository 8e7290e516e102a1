import { UserError } from "../errors.ts";

/** Points of one colour, joined in order. */
export interface ChartLine {
  readonly name: string;
  readonly colour: string;
  /** `title` shows where the pointer rests. */
  readonly points: readonly { readonly x: number; readonly y: number; readonly title?: string }[];
}

/** One axis: its label, the numbers that it spans, and how they are written. */
export interface ChartAxis {
  readonly label: string;
  readonly domain: readonly [number, number];
  readonly log?: boolean;
  readonly format?: (value: number) => string;
}

/** Pixels. */
const [WIDTH, HEIGHT] = [760, 440];
/** At the right there is room for the lines' names. */
const MARGIN = { marginLeft: 60, marginRight: 210, marginTop: 24, marginBottom: 44 };
const LINE_HEIGHT = 20;

/**
 * Lines with a dot at each point, and their names beside them, as an SVG document. Drawn by Observable Plot, which is
 * installed with the development dependencies only: throws UserError PICTURE where it is absent.
 */
export async function lineChart(x: ChartAxis, y: ChartAxis, lines: readonly ChartLine[]): Promise<string> {
  const { Plot, document } = await openPlot();
  const marks = lines.flatMap(({ name, colour, points }, i) => [
    Plot.line(points, { x: "x", y: "y", stroke: colour, strokeWidth: 2 }),
    Plot.dot(points, { x: "x", y: "y", r: 3.5, fill: colour, title: ({ title }) => title ?? name }),
    Plot.text([name], {
      ...{ frameAnchor: "top-right", textAnchor: "start", fill: colour, fontSize: 13 },
      ...{ dx: 16, dy: LINE_HEIGHT * i },
    }),
  ]);
  const drawn = Plot.plot({
    ...{ document, width: WIDTH, height: HEIGHT, ...MARGIN, style: { background: "white", fontSize: "13px" } },
    ...{ x: scaleOf(x), y: scaleOf(y), marks: [Plot.frame({ stroke: "#ddd" }), ...marks] },
  });
  drawn.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return `${drawn.outerHTML}\n`;
}

function scaleOf({ label, domain, log, format }: ChartAxis) {
  return {
    label,
    domain: [...domain],
    grid: true,
    type: log ? ("log" as const) : ("linear" as const),
    tickFormat: format,
  };
}

/** What draws, and the document that it draws in. Throws UserError PICTURE where it is not installed. */
export async function openPlot() {
  try {
    const Plot = await import("@observablehq/plot");
    const { parseHTML } = await import("linkedom");
    const { document } = parseHTML("<!doctype html><body></body>");
    return { Plot, document };
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND")) throw error;
    throw new UserError(
      "PICTURE",
      "picture: expected the packages @observablehq/plot and linkedom, found them not installed",
      "npm install @observablehq/plot linkedom, or take the numbers from --csv",
    );
  }
}
