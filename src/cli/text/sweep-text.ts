import type { Plan } from "../../artifact/plan.ts";
import type { FeasibleRange } from "../../planning/planner.ts";
import type { Sweep } from "../../planning/sweep.ts";
import { formatBytes, shortBytes } from "../../size-text.ts";
import type { Colours } from "../terminal.ts";
import { formatNumber } from "./number-text.ts";
import { renderTable } from "./table.ts";

/** What budgets there are to choose from. */
export function rangeText({ smallestBytes, largestBytes }: FeasibleRange): string {
  return `feasible budgets: ${formatBytes(smallestBytes)} to ${formatBytes(largestBytes)}`;
}

/** A sweep for people, a line a budget; `asked` is the budget that was named, null: none. */
export function sweepText({ range, points }: Sweep, asked: number | null, colours: Colours): string {
  const right = (head: string) => ({ head, align: "right" as const });
  const predicts = points.some((point) => point.predictedLoss !== null);
  const quality = predicts ? "predicted loss" : "importance lowered";
  const columns = [right("budget"), right("used"), right("bits/weight"), right(quality), { head: "" }];
  const rows = points.map((point) => {
    const value = predicts ? point.predictedLoss : point.importanceLowered;
    const cells = [shortBytes(point.budgetBytes), shortBytes(point.totalBytes), point.bitsPerWeight.toFixed(2)];
    return [...cells, value === null ? "–" : formatNumber(value), point.budgetBytes === asked ? "--budget" : ""];
  });
  return `${renderTable(columns, rows, colours)}\n${rangeText(range)}`;
}

/** A sweep as comma-separated values. */
export function sweepCsv({ points }: Sweep): string {
  const lines = points.map((point) =>
    [
      point.budgetBytes,
      point.totalBytes,
      point.bitsPerWeight,
      point.predictedLoss ?? "",
      point.importanceLowered ?? "",
    ].join(","),
  );
  return ["budget_bytes,total_bytes,bits_per_weight,predicted_loss,importance_lowered", ...lines].join("\n");
}

/** A plan as comma-separated values, a line a matrix. */
export function planCsv(plan: Plan): string {
  const quoted = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = plan.units.map(({ id, codec, bytes, rule }) => [id, codec, bytes, quoted(rule ?? "")].join(","));
  return ["unit,codec,bytes,rule", ...lines].join("\n");
}
