import type { DecoderSpec } from "../model/decoder-spec.ts";
import { type KvType, kvVectorBytes } from "../model/kv-type.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import type { KvCache, RowSpan } from "../runtime/kv-cache.ts";
import type { Window } from "./windows.ts";

/** Bytes of keys and values that a pass may hold. */
const CACHE_BYTES = 256 * 1024 * 1024;

/** Rows of a pass whose logits are wanted, with the ids that should follow. */
export interface Targets {
  readonly rows: Int32Array;
  readonly ids: Int32Array;
}

/** Consecutive windows, at least one a group, up to so many rows. */
export function groupWindows(windows: readonly Window[], rowsPerPass: number): Window[][] {
  const groups: Window[][] = [];
  let rows = Number.POSITIVE_INFINITY;
  for (const window of windows) {
    if (rows + window.ids.length > rowsPerPass) {
      groups.push([]);
      rows = 0;
    }
    groups[groups.length - 1].push(window);
    rows += window.ids.length;
  }
  return groups;
}

/** Rows whose keys and values fit into 256 MiB; without a cache only one block's exist at a time. */
export function rowsOfCaches({ blocks }: DecoderSpec, kvType: KvType): number {
  const bytes = blocks.reduce((sum, { attention }) => {
    return attention ? sum + 2 * attention.kvHeads * kvVectorBytes(kvType, attention.headDim) : sum;
  }, 0);
  return Math.max(1, Math.floor(CACHE_BYTES / Math.max(1, bytes)));
}

/**
 * Hidden states of all windows after the last block, [rows of all, hiddenSize]. `kvType` keeps keys and values as a sequence that is being
 * decoded does; f32 is what a pass without caches has anyway.
 */
export async function runWindows(
  executor: AnyExecutor,
  pass: readonly Window[],
  { kvType, signal }: { kvType: KvType; signal?: AbortSignal | undefined },
): Promise<unknown> {
  const ids = new Int32Array(pass.reduce((sum, window) => sum + window.ids.length, 0));
  const caches: KvCache[] = [];
  let at = 0;
  const spans = pass.map((window): RowSpan => {
    const count = window.ids.length;
    ids.set(window.ids, at);
    at += count;
    if (kvType === "f32") return { cache: null, position: 0, count };
    const cache = executor.createCache({ maxTokens: count, kvType });
    caches.push(cache);
    cache.reserve(count);
    return { cache, position: 0, count };
  });
  try {
    const embedded = await executor.embed(ids);
    try {
      return await executor.runBlocks(embedded, 0, executor.spec.blocks.length, spans, { signal });
    } finally {
      executor.release(embedded);
    }
  } finally {
    for (const cache of caches) cache.dispose();
  }
}

/** The row before each target: logits of row t say what follows at t + 1. */
export function targetsOf(pass: readonly Window[]): Targets {
  const rows: number[] = [];
  const ids: number[] = [];
  let start = 0;
  for (const window of pass) {
    for (let target = window.firstTarget; target < window.ids.length; target++) {
      rows.push(start + target - 1);
      ids.push(window.ids[target]);
    }
    start += window.ids.length;
  }
  return { rows: Int32Array.from(rows), ids: Int32Array.from(ids) };
}
