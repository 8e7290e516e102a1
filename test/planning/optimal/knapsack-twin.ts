import type { Item, Option, SegmentShape } from "../../../src/planning/optimal/front.ts";

/** A segment of a knapsack: its items and how its bytes are rounded. */
export interface TwinSegment extends SegmentShape {
  readonly items: readonly Item[];
}

/** Every choice of a segment: its padded bytes and its loss. */
export function allChoices({ items, fixedBytes, align }: TwinSegment): Option[] {
  const sums = items.reduce<Option[]>(
    (all, item) => all.flatMap((a) => item.map((b) => ({ bytes: a.bytes + b.bytes, loss: a.loss + b.loss }))),
    [{ bytes: fixedBytes, loss: 0 }],
  );
  return sums.map(({ bytes, loss }) => ({ bytes: Math.ceil(bytes / align) * align, loss }));
}

/**
 * The least loss of one choice a segment within the capacity, by dynamic programming over every byte; null where none
 * fits.
 */
export function leastLoss(segments: readonly TwinSegment[], capacityBytes: number): number | null {
  if (capacityBytes < 0) return null;
  let best = new Float64Array(capacityBytes + 1);
  for (const segment of segments) {
    const next = new Float64Array(capacityBytes + 1).fill(Number.POSITIVE_INFINITY);
    for (const { bytes, loss } of allChoices(segment)) {
      for (let used = bytes; used <= capacityBytes; used++) {
        next[used] = Math.min(next[used], best[used - bytes] + loss);
      }
    }
    best = next;
  }
  return Number.isFinite(best[capacityBytes]) ? best[capacityBytes] : null;
}
