import type { UserError } from "../errors.ts";
import { KV_TYPES, type KvType } from "../model/kv-type.ts";
import { blockName } from "../model/matrix-id.ts";
import { PROMPT_CHUNK_ROWS } from "../model/workspace.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import { isNotFinite, notFinite, TOO_LARGE } from "../runtime/not-finite.ts";
import { allFinite } from "../tensor/finite.ts";
import { cachedSpans } from "./caches.ts";
import { type MovingRows, moveRows, startRows } from "./run-rows.ts";

/** Whose logits are looked at: sequences from their first token, with keys and values kept in a type. */
interface LookedAt {
  readonly executor: AnyExecutor;
  readonly sequences: readonly Int32Array[];
  readonly kvType: KvType;
  readonly signal?: AbortSignal | undefined;
}

/**
 * What `work` gives. Where it meets logits that are not finite, the UserError says where in the model they come from,
 * and what to do: the sequences are run again, one block at a time, in f32 and then as they were kept.
 */
export async function explainingNotFinite<T>(lookedAt: () => readonly LookedAt[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isNotFinite(error)) throw error;
    for (const one of lookedAt()) {
      for (const ids of one.sequences) {
        const why = await reasonFor(one, ids);
        if (why) throw why;
      }
    }
    throw error;
  }
}

/** Null where all numbers are finite. */
async function reasonFor({ executor, kvType, signal }: LookedAt, ids: Int32Array): Promise<UserError | null> {
  const exact = await firstNotFinite(executor, ids, "f32", signal);
  if (exact !== null) return notFinite(exact, TOO_LARGE);
  const kept = kvType === "f32" ? null : await firstNotFinite(executor, ids, kvType, signal);
  return kept === null ? null : notFinite(`${kept}: keys and values in ${kvType}`, beyondHint(kvType));
}

/** What to do where keys or values are beyond a type's range. */
export function beyondHint(kvType: KvType): string {
  const others = KV_TYPES.filter((type) => type !== kvType && type !== "f16");
  return `they are beyond its range: give ${others.map((type) => `--kv ${type}`).join(" or ")}`;
}

/** Where the numbers of a sequence first are not finite, by name; null: nowhere. Throws Interrupted. */
export async function firstNotFinite(
  executor: AnyExecutor,
  ids: Int32Array,
  kvType: KvType,
  signal?: AbortSignal,
): Promise<string | null> {
  const whole = { cache: null, position: 0, count: ids.length };
  const { spans, dispose } = cachedSpans(executor, [whole], kvType);
  try {
    for (let position = 0; position < ids.length; position += PROMPT_CHUNK_ROWS) {
      const part = ids.subarray(position, position + PROMPT_CHUNK_ROWS);
      const chunk = [{ ...spans[0], position, count: part.length }];
      const found = await firstInChunk(executor, await startRows(executor, { ids: part, spans: chunk }), signal);
      if (found) return found;
    }
    return null;
  } finally {
    dispose();
  }
}

async function firstInChunk(
  executor: AnyExecutor,
  rows: MovingRows,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  try {
    if (!allFinite(await executor.read(rows.hidden))) return "embedding";
    for (const block of executor.spec.blocks.keys()) {
      await moveRows(executor, rows, block + 1, { signal });
      if (!allFinite(await executor.read(rows.hidden))) return blockName(block);
    }
    return allFinite(await executor.logits(rows.hidden)) ? null : "output head";
  } finally {
    executor.release(rows.hidden);
  }
}
