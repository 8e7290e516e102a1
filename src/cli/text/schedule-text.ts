import type { Schedule, ScheduleRow, ScheduleSettings } from "../../artifact/schedule.ts";
import { shortBytes } from "../../size-text.ts";
import type { Colours } from "../terminal.ts";
import { formatNumber } from "./number-text.ts";
import { type Column, renderTable } from "./table.ts";

const COLUMNS: readonly Column[] = [
  { head: "" },
  { head: "memory", align: "right" },
  { head: "weights" },
  { head: "threads", align: "right" },
  { head: "chunk", align: "right" },
  { head: "KV" },
  { head: "decode" },
  { head: "prompt tokens/s", align: "right" },
  { head: "tokens/s", align: "right" },
  { head: "text" },
];

/** A schedule for people: the front of memory and speed, and what was chosen of it. */
export function scheduleText(schedule: Schedule, colours: Colours): string {
  const { front, chosen, memoryLimitBytes, turn, machine } = schedule;
  const isChosen = (row: ScheduleRow) => JSON.stringify(row) === JSON.stringify(chosen);
  const shown = front.some(isChosen) ? front : [...front, chosen];
  const rows = shown.map((row) => [
    isChosen(row) ? "*" : "",
    ...[shortBytes(row.memoryBytes), row.residency, String(row.threads), String(row.promptChunk), row.kvType],
    ...[decodeText(row), formatNumber(row.promptTokensPerSecond), formatNumber(row.generateTokensPerSecond)],
    row.sameText ? "the same" : "another",
  ]);
  const limit = memoryLimitBytes === null ? "no memory limit" : `within ${shortBytes(memoryLimitBytes)}`;
  return [
    renderTable(COLUMNS, rows, colours),
    "",
    `* ${limit}, for turns of ${turn.promptTokens} prompt and ${turn.generateTokens} generated tokens; predicted from parts that were measured here`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.platform}`,
  ].join("\n");
}

function decodeText({ decode }: ScheduleSettings): string {
  const options = Object.entries(decode.options).map(([name, value]) => `${name} ${value}`);
  return [decode.kind, ...options].join(" ");
}
