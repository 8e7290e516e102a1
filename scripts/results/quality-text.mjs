// The section of docs/results.md on quality at given bytes, and its picture.
import { table } from "./common.mjs";

const WIDTH = 760;
const HEIGHT = 420;
const MARGIN = { left: 70, right: 20, top: 20, bottom: 50 };
const SERIES = [
  { name: "layerwise", colour: "#0b6e4f", of: ({ mib, kld }) => [mib, kld] },
  {
    name: "layerwise, f32 activations",
    colour: "#8fc1a9",
    of: ({ mib, kldFloatActivations }) => [mib, kldFloatActivations],
  },
  {
    name: "llama.cpp's frontier",
    colour: "#b3261e",
    of: ({ llamaCppMib, llamaCppKld }) => llamaCppKld && [llamaCppMib, llamaCppKld],
  },
];

/** KL divergence (logarithmic) over MiB, as an SVG document. */
export function qualityPicture({ points }) {
  const lines = SERIES.map((series) => ({ ...series, at: points.map(series.of).filter(Boolean) }));
  const all = lines.flatMap(({ at }) => at);
  const [xs, ys] = [all.map(([x]) => x), all.map(([, y]) => Math.log10(y))];
  const [left, right] = [Math.floor(Math.min(...xs) / 10) * 10, Math.ceil(Math.max(...xs) / 10) * 10];
  const [low, high] = [Math.floor(Math.min(...ys)), Math.ceil(Math.max(...ys))];
  const x = (mib) => MARGIN.left + ((mib - left) / (right - left)) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (log) => MARGIN.top + ((high - log) / (high - low)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const text = (at, content, more = "") =>
    `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" ${more}>${content}</text>`;
  const across = Array.from({ length: (right - left) / 10 + 1 }, (_, i) => left + 10 * i);
  const up = Array.from({ length: high - low + 1 }, (_, i) => low + i);
  const grid = [
    ...across.map((mib) => `<path d="M${x(mib)} ${y(low)}V${y(high)}"/>`),
    ...up.map((log) => `<path d="M${x(left)} ${y(log)}H${x(right)}"/>`),
  ];
  const labels = [
    ...across.map((mib) => text([x(mib), y(low) + 18], mib, 'text-anchor="middle"')),
    ...up.map((log) => text([x(left) - 8, y(log) + 4], 10 ** log, 'text-anchor="end"')),
    text([x((left + right) / 2), HEIGHT - 8], "MiB of tensors", 'text-anchor="middle"'),
    text(
      [0, 0],
      "KL divergence, nats a token",
      `text-anchor="middle" transform="translate(16 ${y((low + high) / 2)}) rotate(-90)"`,
    ),
  ];
  const drawn = lines.flatMap(({ name, colour, at }, i) => {
    const places = at.map(([mib, kld]) => [x(mib), y(Math.log10(kld))]);
    const legend = [WIDTH - 250, MARGIN.top + 20 + 20 * i];
    return [
      `<polyline points="${places.map((place) => place.map((v) => v.toFixed(1)).join()).join(" ")}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      ...places.map(([cx, cy]) => `<circle cx="${cx.toFixed(1)}" cy="${cy.toFixed(1)}" r="3.5" fill="${colour}"/>`),
      `<path d="M${legend[0]} ${legend[1]}h24" stroke="${colour}" stroke-width="2"/>`,
      text([legend[0] + 32, legend[1] + 4], name),
    ];
  });
  const parts = [`<g stroke="#ddd">${grid.join("")}</g>`, ...labels, ...drawn];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="13">\n<rect width="100%" height="100%" fill="#fff"/>\n${parts.join("\n")}\n</svg>\n`;
}

/** How much lower one is; nothing where one is not known. */
function lower(value, than) {
  return than ? `${(100 * (1 - value / than)).toFixed(1)} % lower` : "";
}

/** The section's tables. */
export function qualityText({ points, uniform }) {
  const ratio = ({ kld, llamaCppKld }) => (llamaCppKld ? `${(kld / llamaCppKld).toFixed(2)}x` : "");
  const rows = points.map((point) => [
    point.mib.toFixed(2),
    `${point.kld.toPrecision(3)} ± ${point.kldError.toPrecision(1)}`,
    point.llamaCppKld
      ? `${point.llamaCppKld.toPrecision(3)} (${point.llamaCppName}, ${point.llamaCppMib.toFixed(2)})`
      : "",
    ratio(point),
    point.kldFloatActivations.toPrecision(3),
    `${(100 * point.top1Agreement).toFixed(1)} %`,
    point.guard?.uniform
      ? `${point.guard.plan.mean.toPrecision(3)}; ${point.guard.uniform.divergence.mean.toPrecision(3)} (${point.guard.uniform.codec})`
      : "",
    point.seconds.toFixed(0),
  ]);
  const head = [
    "MiB of files",
    "KL divergence",
    "llama.cpp (file, MiB of tensors)",
    "ratio",
    "with f32 activations",
    "top-1",
    "guard: plan; uniform",
    "compress, s",
  ];
  const parts = ["![KL divergence over bytes](results/quality.svg)", table(head, rows)];
  if (uniform) {
    const same = uniform.rows.map(({ codec, mib, uniform: plain, optimal }) => [
      `${codec}, ${mib.toFixed(2)} MiB`,
      plain.kld.toPrecision(3),
      optimal.kld.toPrecision(3),
      lower(optimal.kld, plain.kld),
      lower(optimal.predictedLoss, plain.predictedLoss),
    ]);
    const between = uniform.between.map(({ mib, interpolated, interpolatedPrediction, optimal }) => [
      `half-way, ${mib.toFixed(2)} MiB`,
      `${interpolated.toPrecision(3)} (interpolated)`,
      optimal.kld.toPrecision(3),
      lower(optimal.kld, interpolated),
      lower(optimal.predictedLoss, interpolatedPrediction),
    ]);
    parts.push(
      "Uniform plans, embedding and output head included, and `optimal` at the same bytes with the same matrices:",
    );
    parts.push(
      table(
        ["bytes of", "uniform", "optimal", "measured", "predicted from the losses by matrix"],
        [...same, ...between],
      ),
    );
  }
  return parts.join("\n\n");
}
