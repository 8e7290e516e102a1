import type { MemorySum, Plan, PlannedMatrix } from "../../artifact/plan.ts";
import { blockName, blockOf, partsOf } from "../../model/matrix-id.ts";
import { formatBytes, shortBytes } from "../../size-text.ts";
import type { Colours } from "../terminal.ts";
import { formatCount, formatNumber } from "./number-text.ts";
import { plannedPruningText } from "./pruning-text.ts";
import { renderTable } from "./table.ts";

/** Units shown together: embedding, head, and each block. */
interface UnitGroup {
  readonly name: string;
  readonly units: PlannedMatrix[];
}

/** A plan for people: one line a block, the memory sum, what it costs in quality. `importance` is by block. */
export function planText(plan: Plan, importance: readonly number[] | null, colours: Colours): string {
  const ruled = plan.units.some((unit) => unit.rule !== null);
  const columns = [
    { head: "unit" },
    { head: "codec" },
    { head: "size", align: "right" as const },
    ...(importance ? [{ head: "importance", align: "right" as const }] : []),
    ...(ruled ? [{ head: "rules" }] : []),
  ];
  const rows = groupUnits(plan.units).map(({ name, units }) => {
    const block = blockOf(name);
    const score = importance && block !== null ? formatNumber(importance[block]) : "";
    const rules = [...new Set(units.flatMap((unit) => (unit.rule === null ? [] : [unit.rule])))].join(", ");
    const size = shortBytes(units.reduce((sum, unit) => sum + unit.bytes, 0));
    return [name, codecsText(units), size, ...(importance ? [score] : []), ...(ruled ? [rules] : [])];
  });
  const by = plan.scorer === null ? "" : ` by ${plan.scorer} scores`;
  const lines = [
    renderTable(columns, rows, colours),
    "",
    memoryText(plan.memory, colours),
    "",
    `allocator ${plan.allocator}${by}; budget ${budgetText(plan)}`,
  ];
  if (plan.predictedLoss !== null) lines.push(`predicted loss ${formatNumber(plan.predictedLoss)} (weights alone)`);
  if (plan.pruning) lines.push(plannedPruningText(plan.pruning));
  if (plan.importanceLowered !== null) lines.push(`importance lowered ${formatNumber(plan.importanceLowered)}`);
  return lines.join("\n");
}

/** The itemised memory sum, exact to the byte. */
export function memoryText(memory: MemorySum, colours: Colours): string {
  const columns = [
    { head: "memory" },
    { head: "size", align: "right" as const },
    { head: "bytes", align: "right" as const },
    { head: "where" },
  ];
  const line = (label: string, bytes: number, where: string) => [label, shortBytes(bytes), formatCount(bytes), where];
  const counted = memory.budgetCovers === "process" ? "counted" : "beside the sum";
  const rows = [
    ...memory.items.filter((item) => item.bytes > 0).map((item) => line(item.label, item.bytes, item.where)),
    line("runtime base", memory.runtimeBaseBytes, counted),
    line(
      "total",
      memory.totalBytes,
      `${formatCount(memory.contextTokens)} tokens, KV ${memory.kvType}, ${memory.residency}`,
    ),
  ];
  return renderTable(columns, rows, colours);
}

/** Units in order, a block's matrices together. */
function groupUnits(units: readonly PlannedMatrix[]): UnitGroup[] {
  const groups: UnitGroup[] = [];
  for (const unit of units) {
    const block = blockOf(unit.id);
    const name = block === null ? unit.id : blockName(block);
    const last = groups[groups.length - 1];
    if (last?.name === name) last.units.push(unit);
    else groups.push({ name, units: [unit] });
  }
  return groups;
}

/** The codec most weights of the group have, then those that differ: "q4s-g32, mlp.down q8s-g32". */
function codecsText(units: readonly PlannedMatrix[]): string {
  const bytes = new Map<string, number>();
  for (const unit of units) bytes.set(unit.codec, (bytes.get(unit.codec) ?? 0) + unit.bytes);
  const [main] = [...bytes].sort((a, b) => b[1] - a[1])[0];
  const others = units.filter((unit) => unit.codec !== main);
  return [main, ...others.map((unit) => `${partsOf(unit.id)?.part ?? unit.id} ${unit.codec}`)].join(", ");
}

function budgetText({ budgetBytes, memory }: Plan): string {
  if (budgetBytes === null) return `none, ${shortBytes(memory.totalBytes)} used`;
  const left = budgetBytes - memory.totalBytes;
  return `${formatBytes(budgetBytes)}, ${shortBytes(left)} left`;
}
