import type { KvCache, RowSpan } from "./executor.ts";

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
