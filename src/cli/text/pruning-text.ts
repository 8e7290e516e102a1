import type { Provenance } from "../../artifact/manifest.ts";
import type { Plan } from "../../artifact/plan.ts";
import { formatCount, formatNumber, formatPercent } from "./number-text.ts";

/** What was taken out of a checkpoint before it was packed, one line. */
export function pruningText(blocks: NonNullable<Provenance["pruning"]>): string {
  const pruned = blocks.flatMap((block) => block ?? []);
  const kinds = [...new Set(pruned.map(({ kind }) => kind))].map((kind) => {
    const own = pruned.filter((block) => block.kind === kind);
    const [left, all] = [own.map(({ kept }) => kept), own.map(({ slices }) => slices)].map(sumOf);
    const where = own.length < blocks.length ? ` of ${own.length} of ${blocks.length} blocks` : "";
    const share = all > 0 ? (all - left) / all : 0;
    return `${kind}${where}: ${formatCount(left)} of ${formatCount(all)} stay, ${formatPercent(share)} are gone`;
  });
  return `pruned: ${kinds.length > 0 ? kinds.join("; ") : "nothing"}`;
}

/** What a plan chose that could leave something out, beside what it did not choose, where that is known: one line. */
export function plannedPruningText({ cuts, wholeLoss = null, cutLoss = null }: NonNullable<Plan["pruning"]>): string {
  const cut = cuts.filter((one) => one !== null).length;
  if (cut > 0) {
    const whole = wholeLoss === null ? "bits alone do not fit" : `bits alone would lose ${formatNumber(wholeLoss)}`;
    return `pruning: of ${cut} of ${cuts.length} blocks: ${whole} at these bytes`;
  }
  const other =
    cutLoss === null ? "nothing that could go fits" : `with pruning they would lose ${formatNumber(cutLoss)}`;
  const bits = wholeLoss === null ? "are all that fits" : `lose ${formatNumber(wholeLoss)} at these bytes`;
  return `no pruning: bits alone ${bits}, ${other}`;
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0);
}
