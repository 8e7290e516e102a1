// The section of docs/results.md on quality at given bytes, and its picture.
import { lineChart } from "../../dist/bench/line-chart.js";
import { table } from "./common.mjs";

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
  const lines = SERIES.map(({ name, colour, of }) => {
    const at = points.map(of).filter(Boolean);
    return { name, colour, points: at.map(([x, y]) => ({ x, y, title: `${x.toFixed(2)} MiB: ${y.toPrecision(3)}` })) };
  });
  const all = lines.flatMap((line) => line.points);
  const [xs, ys] = [all.map(({ x }) => x), all.map(({ y }) => Math.log10(y))];
  const across = [Math.floor(Math.min(...xs) / 10) * 10, Math.ceil(Math.max(...xs) / 10) * 10];
  const up = [10 ** Math.floor(Math.min(...ys)), 10 ** Math.ceil(Math.max(...ys))];
  return lineChart(
    { label: "MiB of tensors", domain: across },
    {
      label: "KL divergence, nats a token",
      domain: up,
      log: true,
      format: (value) => String(Number(value.toPrecision(1))),
    },
    lines,
  );
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
