import type { ExitTable } from "../../artifact/exits/table.ts";
import { throwIfAborted } from "../../errors.ts";
import type { WorkOptions } from "../../progress.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import { allBatches } from "./batches.ts";
import { outputAnswers } from "./output-answers.ts";
import type { SavedStates } from "./states.ts";
import type { ExitAnswers } from "./thresholds.ts";

/** Tokens that heads and logit lens are compared on, at most: the error of a share is below one point. */
const LENS_TOKENS = 4096;
/** Rows whose logits the executor computes in one call. */
const ROWS_PER_CALL = 256;

/** How often each head alone is right, beside what the model says without one. */
type HeadReports = NonNullable<ExitTable["training"]["heads"]>;

export interface LensOptions extends Pick<WorkOptions, "signal"> {
  /** Blocks run before each exit. */
  readonly points: readonly number[];
  /** What the trained heads say of the same tokens. */
  readonly answers: readonly ExitAnswers[];
}

/**
 * Share of tokens for which each head's answer is the whole model's over its whole vocabulary (an answer that is none
 * of the head's ids is not), and for which the untrained logit lens (final norm and output head on the state at that
 * exit) gives it: what training was worth. Throws Interrupted between calls.
 */
export async function reportHeads(
  executor: AnyExecutor,
  saved: SavedStates,
  { points, answers, signal }: LensOptions,
): Promise<HeadReports> {
  const agreeing = points.map(() => ({ head: 0, lens: 0 }));
  let tokens = 0;
  for await (const { rows, states, argmax } of allBatches(saved, ROWS_PER_CALL)) {
    throwIfAborted(signal);
    for (const [i, point] of points.entries()) {
      const hidden = states.get(point);
      if (!hidden) throw new Error(`exits: no states after ${point} blocks`);
      const best = await lensAnswers(executor, hidden, rows);
      for (let row = 0; row < rows; row++) {
        agreeing[i].head += answers[i].agrees[tokens + row];
        if (best[row] === argmax[row]) agreeing[i].lens++;
      }
    }
    tokens += rows;
    if (tokens >= LENS_TOKENS) break;
  }
  return agreeing.map(({ head, lens }) => ({ tokens, agreement: head / tokens, lensAgreement: lens / tokens }));
}

/** hidden: [rows, hiddenSize] -> [rows] */
async function lensAnswers(executor: AnyExecutor, hidden: Float32Array, rows: number): Promise<Int32Array> {
  const state: unknown = executor.write(hidden, rows);
  try {
    return await outputAnswers(executor, state, rows);
  } finally {
    executor.release(state);
  }
}
