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
  const compared = Object.entries(cases).flatMap(([label, { quality }]) =>
    quality?.window
      ? [[label, ...["all", "window"].flatMap((way) => [String(quality[way].steps), quality[way].after.toFixed(2)])]]
      : [],
  );
  const before = Object.values(cases).find(({ quality }) => quality?.all)?.quality.all.before;
  const second = table(["model, tokens", "steps, all", "perplexity", "steps, window", "perplexity"], compared);
  return before === undefined ? table(head, rows) : `${table(head, rows)}\n\n${second}`;
}
