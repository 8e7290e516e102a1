import type { DecoderSpec } from "../model/decoder-spec.ts";
import { type KvType, kvVectorBytes } from "../model/kv-type.ts";
import { cachedSpans } from "../passes/caches.ts";
import { groupByRows, rowsOf } from "../passes/rows.ts";
import { runRows } from "../passes/run-rows.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import type { Window } from "./windows.ts";

/** Bytes of keys and values that a pass may hold. */
const CACHE_BYTES = 256 * 1024 * 1024;

/** Rows of a pass whose logits are wanted, with the ids that should follow. */
export interface Targets {
  readonly rows: Int32Array;
  readonly ids: Int32Array;
}

/** Windows of each pass of at most so many rows. */
export function groupWindows(windows: readonly Window[], rowsPerPass: number): Window[][] {
  return groupByRows(windows, ({ ids }) => ids.length, rowsPerPass);
}

/** Rows whose keys and values fit into 256 MiB; without a cache only one block's exist at a time. */
export function rowsOfCaches({ blocks }: DecoderSpec, kvType: KvType): number {
  const bytes = blocks.reduce((sum, { attention }) => {
    return attention ? sum + 2 * attention.kvHeads * kvVectorBytes(kvType, attention.headDim) : sum;
  }, 0);
  return Math.max(1, Math.floor(CACHE_BYTES / Math.max(1, bytes)));
}

/**
 * Hidden states of all windows after the last block, [rows of all, hiddenSize]. `kvType` keeps keys and values as a
 * sequence that is being decoded does; f32 is what a pass without caches has anyway.
 */
export async function runWindows(
  executor: AnyExecutor,
  pass: readonly Window[],
  { kvType, signal }: { kvType: KvType; signal?: AbortSignal | undefined },
): Promise<unknown> {
  const rows = rowsOf(pass.map(({ ids }) => ids));
  if (kvType === "f32") return runRows(executor, rows, { signal });
  const { spans, dispose } = cachedSpans(executor, rows.spans, kvType);
  return runRows(executor, { ids: rows.ids, spans }, { signal }).finally(dispose);
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
