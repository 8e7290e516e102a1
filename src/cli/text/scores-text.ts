import { blockName, blockOf, partsOf } from "../../model/matrix-id.ts";
import type { Scores } from "../../scoring/scores.ts";
import type { Colours } from "../terminal.ts";
import { formatCount, formatNumber } from "./number-text.ts";
import { renderTable } from "./table.ts";

/** Scores for people: importance by block, or the loss of each unit at each codec. */
export function scoresText(scores: Scores, colours: Colours): string {
  const losses = Object.entries(scores.losses ?? {});
  const codecs = [...new Set(losses.flatMap(([, byCodec]) => Object.keys(byCodec)))];
  const columns = [
    { head: "unit" },
    ...(scores.importance ? [{ head: "importance", align: "right" as const }] : []),
    ...codecs.map((codec) => ({ head: codec, align: "right" as const })),
  ];
  const units =
    losses.length > 0 ? losses.map(([unit]) => unit) : (scores.importance ?? []).map((_, i) => blockName(i));
  const rows = units.map((unit) => {
    const block = blockOf(unit);
    const importance = block === null || partsOf(unit) ? undefined : scores.importance?.[block];
    const cell = (value: number | undefined) => (value === undefined ? "" : formatNumber(value));
    return [
      unit,
      ...(scores.importance ? [cell(importance)] : []),
      ...codecs.map((codec) => cell(scores.losses?.[unit]?.[codec])),
    ];
  });
  const { fit } = scores;
  const judged = fit
    ? `\npredicted / measured over ${fit.pairs} pairs: median ${formatNumber(fit.medianRatio)}, nine of ten within a factor of ` +
      `${formatNumber(fit.factor90)}, rank correlation ${fit.rankCorrelation === null ? "–" : formatNumber(fit.rankCorrelation)}`
    : "";
  return `${renderTable(columns, rows, colours)}\n${colours.dim(`${scores.scorer}, ${formatCount(scores.tokens)} calibration tokens`)}${judged}`;
}
