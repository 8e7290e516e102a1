import type { KvType } from "../model/kv-type.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import type { KvCache, RowSpan } from "../runtime/kv-cache.ts";

/** Spans with a cache each. Dispose of the caches after the pass. */
export interface CachedSpans {
  readonly spans: readonly RowSpan[];
  dispose(): void;
}

/** Whole sequences, each in a cache of its own from which attention reads keys and values back in their stored type. */
export function cachedSpans(executor: AnyExecutor, sequences: readonly RowSpan[], kvType: KvType): CachedSpans {
  const caches: KvCache[] = [];
  const dispose = () => {
    for (const cache of caches.splice(0)) cache.dispose();
  };
  try {
    const spans = sequences.map((span): RowSpan => {
      const cache = executor.createCache({ maxTokens: span.count, kvType });
      caches.push(cache);
      cache.reserve(span.count);
      return { ...span, cache };
    });
    return { spans, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}
