import path from "node:path";
import { nullOn } from "../../errors.ts";
import { readFileBytes, writeFileAtomic } from "../../formats/files.ts";
import { rowsOf } from "../../passes/rows.ts";
import { runRows, takeNumbers } from "../../passes/run-rows.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";

/** More than the states of any sequence have. */
const MAX_STATES_BYTES = 2 ** 31;

/** Where states of sequences are made, and maybe kept. */
export interface BelowOptions {
  readonly executor: AnyExecutor;
  /** Blocks below the window. */
  readonly depth: number;
  /** Additions that the executor knows by this name; null: none is active there. */
  readonly adapter: string | null;
  /** A folder of this window's own, for sequences that come again; null: they are computed each time. */
  readonly folder: string | null;
}

/**
 * The states of a sequence before the window, [rows, hiddenSize] in f32: embedded and run through the packed blocks
 * below by the executor, forward only. What a folder keeps is the same bit for bit.
 */
export async function statesBelow(
  ids: Int32Array,
  sequence: number,
  { executor, depth, adapter, folder }: BelowOptions,
): Promise<Float32Array> {
  const file = folder === null ? null : path.join(folder, `${sequence}.f32`);
  const expected = ids.length * executor.spec.hiddenSize * 4;
  const kept = file === null ? null : await nullOn("FILE_NOT_FOUND", () => readFileBytes(file, MAX_STATES_BYTES));
  if (kept?.length === expected) {
    const own = new Uint8Array(expected);
    own.set(kept);
    return new Float32Array(own.buffer);
  }
  const options = { adapter: adapter ?? undefined };
  const states = await takeNumbers(executor, await runRows(executor, rowsOf([ids]), options, depth));
  if (file) await writeFileAtomic(file, new Uint8Array(states.buffer, states.byteOffset, states.byteLength));
  return states;
}
