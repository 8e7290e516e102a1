import { groupSequences } from "../calibration/row-groups.ts";
import { throwIfAborted } from "../errors.ts";
import type { WorkOptions } from "../progress.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import type { HiddenState, SweepObserver } from "./scorer.ts";

export { rowGroup } from "../calibration/row-groups.ts";

/** Rows of one pass: the hidden states of a pass and the wider ones inside a block are held at once. */
const SWEEP_ROWS = 4096;

/** Runs block after block over all sequences, each block read once a group, and shows every step to every observer. */
export async function sweepBlocks(
  executor: AnyExecutor,
  sequences: readonly Int32Array[],
  observers: readonly SweepObserver[],
  options: WorkOptions & { readonly stage: string; readonly rowsPerPass?: number },
): Promise<void> {
  const groups = groupSequences(sequences, options.rowsPerPass ?? SWEEP_ROWS);
  const total = executor.spec.blocks.length;
  const states: HiddenState[] = [];
  try {
    for (const group of groups) {
      const embedded = hiddenState(executor, await executor.embed(group.ids));
      states.push(embedded);
      for (const observer of observers) await observer.begin?.(group, embedded);
    }
    for (let block = 0; block < total; block++) {
      for (const group of groups) {
        throwIfAborted(options.signal);
        const input = states[group.index];
        const output = hiddenState(executor, await executor.runBlocks(input.hidden, block, block + 1, group.spans));
        states[group.index] = output;
        try {
          for (const observer of observers) await observer.step({ block, group, input, output });
        } finally {
          executor.release(input.hidden);
        }
      }
      options.onProgress?.({ stage: options.stage, done: block + 1, total, detail: `block ${block}` });
    }
  } finally {
    for (const state of states) executor.release(state.hidden);
  }
}

/** Wraps a hidden state so that its numbers are read at most once. */
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
