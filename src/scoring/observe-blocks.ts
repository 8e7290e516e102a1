import { blockName } from "../model/matrix-id.ts";
import { groupSequences } from "../passes/rows.ts";
import { everyDepth, walkBlocks } from "../passes/walk-blocks.ts";
import type { WorkOptions } from "../progress.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import { notFinite, TOO_LARGE } from "../runtime/not-finite.ts";
import { allFinite } from "../tensor/finite.ts";
import type { BlockObserver } from "./scorer.ts";

/** Rows of one pass: the hidden states of a pass and the wider ones inside a block are held at once. */
const ROWS_PER_PASS = 4096;

/**
 * Runs block after block over all sequences, each block read once for all of them, and shows every step to every
 * observer. Throws UserError LOGITS_NOT_FINITE where a hidden state is not finite.
 */
export async function observeBlocks(
  executor: AnyExecutor,
  sequences: readonly Int32Array[],
  observers: readonly BlockObserver[],
  {
    stage,
    rowsPerPass = ROWS_PER_PASS,
    onProgress,
    signal,
  }: WorkOptions & {
    readonly stage: string;
    readonly rowsPerPass?: number;
  },
): Promise<void> {
  const total = executor.spec.blocks.length;
  await walkBlocks(executor, groupSequences(sequences, rowsPerPass), {
    depths: [0, ...everyDepth(total)],
    signal,
    see: async ({ group, depth, state, before }) => {
      if (!allFinite(await state.data())) throw notFinite(depth === 0 ? "embedding" : blockName(depth - 1), TOO_LARGE);
      for (const observer of observers) {
        if (before) await observer.step({ block: depth - 1, group, input: before, output: state });
        else await observer.begin?.(group, state);
      }
    },
    onDepth: (depth) => {
      if (depth > 0) onProgress?.({ stage, done: depth, total, detail: `block ${depth - 1}` });
    },
  });
}
