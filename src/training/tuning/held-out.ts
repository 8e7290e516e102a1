import { throwIfAborted } from "../../errors.ts";
import { rowsOf } from "../../passes/rows.ts";
import { moveRows, startRows } from "../../passes/run-rows.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import type { Example } from "./examples.ts";
import type { HeadLoss } from "./head-loss.ts";

/** What is looked at, and how. */
export interface HeldOutOptions {
  readonly executor: AnyExecutor;
  readonly head: HeadLoss;
  /** Numbers of blocks run, rising. */
  readonly depths: readonly number[];
  /** Null: none. */
  readonly adapter: string | null;
  readonly signal?: AbortSignal | undefined;
}

/** Mean loss in nats over the learned ids of examples, through the final norm and output head at every depth. */
export async function heldOutLosses(
  examples: readonly Example[],
  { executor, head, depths, adapter, signal }: HeldOutOptions,
): Promise<number[]> {
  const sums = depths.map(() => 0);
  let targets = 0;
  const options = { adapter: adapter ?? undefined, signal };
  for (const example of examples) {
    throwIfAborted(signal);
    const rows = await startRows(executor, rowsOf([example.ids]));
    const wanted = targetsOf(example);
    try {
      for (const [i, depth] of depths.entries()) {
        await moveRows(executor, rows, depth, options);
        const found = await head.run({ hidden: await executor.read(rows.hidden), targets: wanted });
        sums[i] += found.sum;
        if (i === 0) targets += found.targets;
      }
    } finally {
      executor.release(rows.hidden);
    }
  }
  return sums.map((sum) => sum / targets);
}

/** The id that each row is to predict, or -1: [rows]. */
export function targetsOf({ ids, learned }: Example): Int32Array {
  return ids.map((_, row) => (learned[row + 1] === 1 ? ids[row + 1] : -1));
}
