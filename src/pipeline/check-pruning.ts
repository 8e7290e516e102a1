import { UserError } from "../errors.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import { canLose, keptCounts, type SliceCount } from "../pruning/counts.ts";
import { cutSpec } from "../pruning/cut.ts";
import { PRUNING_KINDS, type PruningKindId } from "../pruning/index.ts";
import { plannedCuts } from "../pruning/planned-cuts.ts";
import { kindsOf, type PruneSettings } from "./prune-settings.ts";

/**
 * Refuses, from the shapes alone, a pruning that cannot be done. Throws UserError `PRUNE_KIND` where the model has
 * nothing of the kind to lose, or cannot lose it, and `PRUNE_RATIO` where it cannot lose that much.
 */
export function checkPruning(spec: DecoderSpec, settings: PruneSettings): void {
  const most = Math.min(...kindsOf(settings).map((kind) => checkKind(spec, kind)));
  const { ratio } = settings;
  if (ratio === "auto" || ratio <= most) return;
  const { summary } = PRUNING_KINDS[kindsOf(settings)[0]];
  throw new UserError(
    "PRUNE_RATIO",
    `prune.ratio: expected at most ${most.toFixed(3)}, where each block keeps the least of its ${summary}, found ${ratio}`,
    "take less",
  );
}

/** The largest share that every block can lose of a kind. */
function checkKind({ blocks }: DecoderSpec, kind: PruningKindId): number {
  const { slicesOf, summary, refuse } = PRUNING_KINDS[kind];
  for (const [i, block] of blocks.entries()) {
    const why = refuse?.(block) ?? null;
    if (why) throw new UserError("PRUNE_KIND", `prune.kind: ${kind}: block ${i}: ${why}`, "prune something else");
  }
  const most = mostRatio(blocks.map(slicesOf).filter(canLose));
  if (most === null) {
    throw new UserError("PRUNE_KIND", `prune.kind: ${kind}: expected ${summary} that can be left out, found none`);
  }
  return most;
}

/** The largest share that every block can lose; null where none can lose anything. */
export function mostRatio(counts: readonly SliceCount[]): number | null {
  return counts.length > 0 ? Math.min(...counts.map(({ slices, least }) => 1 - least / slices)) : null;
}

/** A model of at most the bytes that one pruned by a ratio has: what nothing that fits is refused by. */
export function leastSpec(spec: DecoderSpec, kind: PruningKindId, ratio: number): DecoderSpec {
  const { slicesOf } = PRUNING_KINDS[kind];
  const counts = spec.blocks.map(slicesOf);
  const kept = keptCounts(
    counts,
    counts.map((count) => (canLose(count) ? ratio : 0)),
  );
  const lower = kept.map((slices, i) =>
    Math.max(counts[i]?.least ?? 0, ratio > 0 ? slices - (counts[i]?.step ?? 0) : slices),
  );
  return cutSpec(
    spec,
    plannedCuts(
      spec,
      lower.map((least) => ({ kind: PRUNING_KINDS[kind], kept: least })),
    ),
  );
}
