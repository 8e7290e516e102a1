import { throwIfAborted } from "../errors.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import type { RowGroup } from "./rows.ts";

/** A group's rows at some depth. */
export interface HiddenState {
  /** The executor's; released by the walk. */
  readonly hidden: unknown;
  /** The numbers, [rows, hiddenSize]; read once. */
  data(): Promise<Float32Array>;
}

/** One group at one depth. */
interface Stop {
  readonly group: RowGroup;
  /** Blocks run. */
  readonly depth: number;
  readonly state: HiddenState;
  /** The rows at the depth before this one, or before block 0; null at depth 0. */
  readonly before: HiddenState | null;
}

export interface WalkOptions {
  /** Numbers of blocks run at which rows are looked at, rising; 0: the embedded rows. The walk ends at the last. */
  readonly depths: readonly number[];
  /** Looks at a group; its states are gone once this has ended, but for `state` until the group moves on. */
  readonly see: (stop: Stop) => Promise<void>;
  /** Called when all groups have reached a depth and been seen. */
  readonly onDepth?: ((depth: number) => void) | undefined;
  /** The walk then throws Interrupted. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Rows through the blocks with someone looking on: all groups to a depth, then all to the next, so that a streamed
 * executor reads each block once for all of them. Holds a hidden state a group, and one more; however it ends, all are
 * released. For less memory walk with one group at a time.
 */
export async function walkBlocks(
  executor: AnyExecutor,
  groups: readonly RowGroup[],
  { depths, see, onDepth, signal }: WalkOptions,
): Promise<void> {
  const states: HiddenState[] = [];
  let from = 0;
  try {
    for (const { ids } of groups) states.push(hiddenState(executor, await executor.embed(ids)));
    for (const depth of depths) {
      for (const [i, group] of groups.entries()) {
        throwIfAborted(signal);
        const before = states[i];
        if (depth === from) {
          await see({ group, depth, state: before, before: null });
          continue;
        }
        const output: unknown = await executor.runBlocks(before.hidden, from, depth, group.spans, { signal });
        const state = hiddenState(executor, output);
        states[i] = state;
        try {
          await see({ group, depth, state, before });
        } finally {
          executor.release(before.hidden);
        }
      }
      from = depth;
      onDepth?.(depth);
    }
  } finally {
    for (const { hidden } of states) executor.release(hidden);
  }
}

/** Every number of blocks run up to `blocks`, without 0. */
export function everyDepth(blocks: number): number[] {
  return Array.from({ length: blocks }, (_, block) => block + 1);
}

function hiddenState(executor: AnyExecutor, hidden: unknown): HiddenState {
  let data: Promise<Float32Array> | undefined;
  return {
    hidden,
    data: () => {
      data ??= executor.read(hidden);
      return data;
    },
  };
}
