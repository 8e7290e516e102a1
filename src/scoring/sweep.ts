import { throwIfAborted } from "../errors.ts";
import type { WorkOptions } from "../progress.ts";
import type { AnyExecutor, RowSpan } from "../runtime/executor.ts";
import type { HiddenState, RowGroup, SweepObserver } from "./scorer.ts";

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

/** Consecutive sequences in groups of at most `rowsPerPass` rows, at least one a group. */
function groupSequences(sequences: readonly Int32Array[], rowsPerPass: number): RowGroup[] {
  const parts: Int32Array[][] = [];
  let rows = Number.POSITIVE_INFINITY;
  for (const sequence of sequences) {
    if (rows + sequence.length > rowsPerPass) {
      parts.push([]);
      rows = 0;
    }
    parts[parts.length - 1].push(sequence);
    rows += sequence.length;
  }
  return parts.map((part, index) => rowGroup(part, index));
}

/** The sequences as the rows of one pass, each from position 0 and without a cache. */
export function rowGroup(sequences: readonly Int32Array[], index: number): RowGroup {
  const ids = new Int32Array(sequences.reduce((sum, sequence) => sum + sequence.length, 0));
  let at = 0;
  const spans = sequences.map((sequence): RowSpan => {
    ids.set(sequence, at);
    at += sequence.length;
    return { cache: null, position: 0, count: sequence.length };
  });
  return { index, ids, spans };
}
