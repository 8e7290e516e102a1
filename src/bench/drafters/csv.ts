import type { DrafterRow } from "./result.ts";

/** Columns of the table, in order: one field of a row each. */
const COLUMNS: readonly (readonly [string, (row: DrafterRow) => string | number | boolean | null])[] = [
  ["kind", ({ kind }) => kind],
  ["name", ({ name }) => name],
  ["exit", ({ exit }) => exit],
  ["epsilon", ({ epsilon }) => epsilon],
  ["draft_limit", ({ draftLimit }) => draftLimit],
  ["tokens", ({ tokens }) => tokens],
  ["drafted", ({ drafted }) => drafted],
  ["accepted", ({ accepted }) => accepted],
  ["wasted", ({ wasted }) => wasted],
  ["rounds", ({ rounds }) => rounds],
  ["plain_rounds", ({ plainRounds }) => plainRounds],
  ["accepted_per_round", ({ acceptedPerRound }) => acceptedPerRound],
  ["wasted_share", ({ wastedShare }) => wastedShare],
  ["wasted_per_token", ({ wastedPerToken }) => wastedPerToken],
  ["accepted_per_token", ({ acceptedPerToken }) => acceptedPerToken],
  ["mean_blocks", ({ meanBlocks }) => meanBlocks],
  ["tokens_per_second", ({ tokensPerSecond }) => tokensPerSecond?.median ?? null],
  ["ratio_to_plain", ({ ratio }) => ratio?.median ?? null],
  ["ratio_quartile_deviation", ({ ratio }) => ratio?.quartileDeviation ?? null],
  ["predicted_ratio", ({ predicted }) => predicted?.ratio ?? null],
  ["bound_by", ({ predicted }) => predicted?.bound ?? null],
  ["exact", ({ exact }) => exact],
];

/** Rows as comma-separated values (RFC 4180, lines ended by \n), with a line of names; what a row has not is empty. */
export function draftersCsv(rows: readonly DrafterRow[]): string {
  const lines = [COLUMNS.map(([name]) => name), ...rows.map((row) => COLUMNS.map(([, of]) => cell(of(row))))];
  return lines.map((cells) => `${cells.join(",")}\n`).join("");
}

function cell(value: string | number | boolean | null): string {
  const text = value === null ? "" : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
