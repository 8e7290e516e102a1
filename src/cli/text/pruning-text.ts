import type { Provenance } from "../../artifact/manifest.ts";
import { formatCount, formatPercent } from "./number-text.ts";

/** What was taken out of a checkpoint before it was packed, one line. */
export function pruningText({ kind, kept, slices }: NonNullable<Provenance["pruning"]>): string {
  const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
  const [left, all] = [sum(kept), sum(slices)];
  const share = all > 0 ? (all - left) / all : 0;
  return `pruned: ${kind}: ${formatCount(left)} of ${formatCount(all)} stay, ${formatPercent(share)} are gone`;
}
