import type { NativeSpan } from "../../native/addon.ts";
import type { RowSpan } from "../executor.ts";
import { NativeKvCache } from "./kv-cache.ts";

/** The spans with the engine's own caches; throws where they do not cover the rows or cannot be run. */
export function nativeSpans(spans: readonly RowSpan[], rows: number): NativeSpan[] {
  let covered = 0;
  for (const { count } of spans) covered += count;
  if (covered !== rows) throw new Error(`runBlocks: the spans cover ${covered} rows of ${rows}`);
  return spans.map(({ cache, position, count }) => {
    if (count < 1) throw new Error("runBlocks: a span of no rows");
    if (cache === null) {
      if (position !== 0) throw new Error(`runBlocks: a span without a cache starts at position ${position}`);
      return { cache, position, count };
    }
    if (!(cache instanceof NativeKvCache)) throw new Error("runBlocks: the cache is of another executor");
    cache.cover(position + count);
    cache.checkWindows();
    return { cache: cache.native, position, count };
  });
}
