// The tables of adaptive layer tuning, from docs/results/tuning.json.
import { MIB, table } from "./common.mjs";

const mib = (bytes) => (bytes / MIB).toFixed(0);

/** Memory and time an iteration, then perplexity after equal wall time. */
export function tuningText({ cases }) {
  const rows = Object.entries(cases).flatMap(([label, { weightBytes, ways }]) => {
    const aboveOf = (way) => ways[way].peakBytes - ways[way].baseBytes - weightBytes;
    return Object.entries(ways).map(([way, { msPerStep, peakBytes, baseBytes }]) => {
      const rival = way.replace("window", "all");
      const beside = rival !== way && ways[rival];
      const ratio = beside ? `${(aboveOf(rival) / aboveOf(way)).toFixed(1)} x` : "";
      const faster = beside ? `${(ways[rival].msPerStep / msPerStep).toFixed(1)} x` : "";
      const parts = [mib(peakBytes), mib(baseBytes), mib(weightBytes), mib(aboveOf(way)), ratio];
      return [label, way, ...parts, (msPerStep / 1000).toFixed(2), faster];
    });
  });
  const head = [
    "model, tokens",
    "tuned",
    "peak RSS, MiB",
    "process base",
    "weights",
    "above them",
    "less",
    "s",
    "faster",
  ];
  const compared = Object.entries(cases).flatMap(([label, { quality }]) => {
    if (!quality?.window) return [];
    const cells = ["all", "window"].flatMap((way) => {
      const { steps, seconds, after } = quality[way];
      return [`${steps} in ${seconds.toFixed(0)} s`, after.toFixed(2)];
    });
    return [[label, quality.all.before.toFixed(2), ...cells]];
  });
  if (compared.length === 0) return table(head, rows);
  const quality = ["model, tokens", "before", "all blocks, steps", "perplexity", "window, steps", "perplexity"];
  return `${table(head, rows)}\n\n${table(quality, compared)}`;
}
