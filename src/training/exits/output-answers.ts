import type { AnyExecutor } from "../../runtime/executor.ts";
import { emptyAnswers } from "../../runtime/head-answers.ts";
import { OUTPUT_HEAD } from "../../runtime/heads.ts";

/**
 * Most likely ids by final norm and output head of a hidden state [rows, hiddenSize]: the logit lens, and after the
 * last block the model's answer. [rows], of equal logits the lowest id.
 */
export async function outputAnswers(executor: AnyExecutor, hidden: unknown, rows: number): Promise<Int32Array> {
  const wanted = Int32Array.from({ length: rows }, (_, row) => row);
  return (await executor.answers(hidden, wanted, { head: OUTPUT_HEAD, into: emptyAnswers(rows) })).best;
}
