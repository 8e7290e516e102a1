import type { RowSpan } from "../runtime/kv-cache.ts";
import { joinedInt32 } from "../tensor/join.ts";

/** Rows that run in one pass: ids, [rows], and the spans that say of which sequences they are. */
export interface PassRows {
  readonly ids: Int32Array;
  readonly spans: readonly RowSpan[];
}

/** Some sequences that run in one pass, and the pass's number among those of all sequences. */
export interface RowGroup extends PassRows {
  readonly index: number;
}

/**
 * Consecutive things in groups of at most so many rows, at least one a group; none is split. What has no rows is left
 * out, here and so in every pass: an executor refuses a span without rows, and nothing can be said about it.
 */
export function groupByRows<T>(things: readonly T[], rowsOf: (thing: T) => number, rowsPerPass: number): T[][] {
  const groups: T[][] = [];
  let inGroup = Number.POSITIVE_INFINITY;
  for (const thing of things) {
    const rows = rowsOf(thing);
    if (rows === 0) continue;
    if (inGroup + rows > rowsPerPass) {
      groups.push([]);
      inGroup = 0;
    }
    groups[groups.length - 1].push(thing);
    inGroup += rows;
  }
  return groups;
}

/**
 * Sequences as the rows of passes of at most so many rows, grouped as {@link groupByRows} does; one longer than that
 * has a pass of its own.
 */
export function groupSequences(sequences: readonly Int32Array[], rowsPerPass: number): RowGroup[] {
  const groups = groupByRows(sequences, ({ length }) => length, rowsPerPass);
  return groups.map((group, index) => ({ index, ...rowsOf(group) }));
}

/** Sequences as the rows of one pass, each from position 0 and without a cache; empty ones are left out. */
export function rowsOf(sequences: readonly Int32Array[]): PassRows {
  const kept = sequences.filter(({ length }) => length > 0);
  return {
    ids: joinedInt32(kept),
    spans: kept.map(({ length }): RowSpan => ({ cache: null, position: 0, count: length })),
  };
}
