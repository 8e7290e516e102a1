import type { NativeSpan } from "../../native/addon.ts";
import type { KvCache, RowSpan } from "../kv-cache.ts";
import { ownSpans } from "../kv-cache.ts";
import { NativeKvCache } from "./kv-cache.ts";

/** The spans with the engine's own caches; throws where they do not cover the rows or cannot be run. */
export function nativeSpans(spans: readonly RowSpan[], rows: number): NativeSpan[] {
  return ownSpans(spans, rows, isNative).map(({ cache, position, count }) => {
    cache?.checkWindows();
    return { cache: cache?.native ?? null, position, count };
  });
}

function isNative(cache: KvCache): cache is NativeKvCache {
  return cache instanceof NativeKvCache;
}
