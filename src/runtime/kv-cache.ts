import type { KvType } from "../model/kv-type.ts";

/**
 * Keys and values of one sequence, block by block. Lengths are per block: a drafter may have run only the first blocks.
 * Made of 64-position pages; a fork shares full pages; a sliding window keeps window + 64 positions.
 */
export interface KvCache {
  readonly kvType: KvType;
  readonly maxTokens: number;
  /** Positions held by a block. */
  length(block: number): number;
  /** Forgets positions >= length in blocks >= fromBlock (default: all). */
  truncate(length: number, fromBlock?: number): void;
  /** An independent cache with the same contents; full pages are shared. */
  fork(): KvCache;
  /**
   * Length that the sequence will reach in this regime: longrope models pick their factors by it (beyond
   * originalMaxPositions ALL positions use the long factors). May be changed only while the cache is empty or if the
   * regime stays the same; otherwise throws, and the caller truncates to 0 and feeds the sequence anew.
   */
  reserve(totalTokens: number): void;
  /** True when `reserve(totalTokens)` would need a rebuild. */
  needsRebuild(totalTokens: number): boolean;
  dispose(): void;
}

/**
 * Consecutive rows of one sequence: positions [position, position + count). With a cache the rows attend to everything
 * in it before them, and in every block run the cache must hold exactly `position` positions; without one (null)
 * the span starts at position 0 and is a whole sequence of its own, in f32.
 */
export interface RowSpan {
  readonly cache: KvCache | null;
  readonly position: number;
  readonly count: number;
}

/** Rows of a sequence with a cache of the executor's own kind. */
export interface OwnSpan<Cache> {
  readonly cache: Cache | null;
  readonly position: number;
  readonly count: number;
}

/** The spans, their caches the executor's own and covered; throws where they do not cover the rows or cannot be run. */
export function ownSpans<Cache extends KvCache & { cover(totalTokens: number): void }>(
  spans: readonly RowSpan[],
  rows: number,
  isOwn: (cache: KvCache) => cache is Cache,
): OwnSpan<Cache>[] {
  const covered = spans.reduce((sum, { count }) => sum + count, 0);
  if (covered !== rows) throw new Error(`runBlocks: the spans cover ${covered} rows of ${rows}`);
  return spans.map(({ cache, position, count }) => {
    if (count < 1) throw new Error("runBlocks: a span of no rows");
    if (cache === null) {
      if (position !== 0) throw new Error(`runBlocks: a span without a cache starts at position ${position}`);
      return { cache, position, count };
    }
    if (!isOwn(cache)) throw new Error("runBlocks: the cache is of another executor");
    cache.cover(position + count);
    return { cache, position, count };
  });
}
