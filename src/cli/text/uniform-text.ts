import type { Plan } from "../../artifact/plan.ts";
import type { UniformPlan } from "../../planning/uniform-plans.ts";
import { shortBytes } from "../../size-text.ts";
import type { Colours } from "../terminal.ts";
import { formatCount, formatNumber } from "./number-text.ts";
import { renderTable } from "./table.ts";

/** A uniform plan and the allocator's own within the same bytes. */
export interface UniformComparison extends UniformPlan {
  readonly sameBytes: Plan;
}

/** Exact bytes and predicted losses, a line a codec. */
export function uniformText(plans: readonly UniformComparison[], colours: Colours): string {
  const right = (head: string) => ({ head, align: "right" as const });
  const allocator = plans[0]?.sameBytes.allocator ?? "";
  const columns = [
    { head: "uniform plan" },
    right("size"),
    right("total bytes"),
    right("file bytes"),
    right("predicted loss"),
    right(`${allocator}, same bytes`),
  ];
  const loss = ({ predictedLoss }: Plan) => (predictedLoss === null ? "–" : formatNumber(predictedLoss));
  const rows = plans.map(({ codec, plan, sameBytes }) => {
    const { totalBytes, fileBytes } = plan.memory;
    const sizes = [shortBytes(totalBytes), formatCount(totalBytes), formatCount(fileBytes)];
    return [codec, ...sizes, loss(plan), loss(sameBytes)];
  });
  return renderTable(columns, rows, colours);
}
