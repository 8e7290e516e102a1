import type { AnyExecutor } from "../../runtime/executor.ts";
import { notFinite } from "../../runtime/not-finite.ts";

/** What the whole model answers to each row. */
export interface Teacher {
  /** [rows], logarithm of the sum of e^logit over the whole vocabulary. */
  readonly logSumExp: Float32Array;
  /** [rows], id of the largest logit, the lowest of equals. */
  readonly argmax: Int32Array;
}

/** Logits of at most so many numbers are held at a time (32 MiB). */
const MAX_LOGITS = 8 * 1024 * 1024;

/**
 * The answers of final norm and output head to a hidden state [rows, hiddenSize], a few rows at a time. Throws
 * UserError where logits are not finite.
 */
export async function teacherOf(executor: AnyExecutor, hidden: unknown, rows: number): Promise<Teacher> {
  const { vocabSize } = executor.spec;
  const step = Math.max(1, Math.floor(MAX_LOGITS / vocabSize));
  const logSumExp = new Float32Array(rows);
  const argmax = new Int32Array(rows);
  const comparer = executor.maths.rowComparer();
  for (let from = 0; from < rows; from += step) {
    const count = Math.min(step, rows - from);
    const wanted = Int32Array.from({ length: count }, (_, i) => from + i);
    const logits = await executor.logits(hidden, wanted);
    const found = await comparer.summarize(logits, count);
    logSumExp.set(found.logSumExps, from);
    argmax.set(found.argmaxes, from);
  }
  const wrong = logSumExp.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) throw notFinite(`exits: logits of row ${wrong}`);
  return { logSumExp, argmax };
}
