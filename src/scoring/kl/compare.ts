import { throwIfAborted } from "../../errors.ts";
import { rowsOfLogits } from "../../evaluation/logit-rows.ts";
import type { ComparedRows } from "../../maths/row-comparison.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import { notFinite } from "../../runtime/not-finite.ts";

/** A last hidden state and the executor whose output head reads it. */
export interface Output {
  readonly executor: AnyExecutor;
  readonly hidden: unknown;
}

/**
 * Mean KL(reference || variant) in nats over all rows, for each variant. Logits are made in even chunks of at most
 * `logitBytes`; those of the reference once a chunk for all variants. Compared by the reference's maths. `onChunk`
 * hears the share done after each.
 */
export async function compareOutputs(
  reference: Output,
  variants: readonly Output[],
  rows: number,
  options: { readonly logitBytes: number; readonly signal?: AbortSignal | undefined; onChunk?(share: number): void },
): Promise<number[]> {
  const { vocabSize } = reference.executor.spec;
  const chunk = evenChunk(rows, rowsOfLogits(vocabSize, options.logitBytes));
  const comparer = reference.executor.maths.rowComparer();
  // Used again for every chunk: fresh memory of this size costs as much as the comparison.
  const [theirs, ours] = [new Float32Array(chunk * vocabSize), new Float32Array(chunk * vocabSize)];
  const sums = variants.map(() => 0);
  for (let from = 0; from < rows; from += chunk) {
    const wanted = Int32Array.from({ length: Math.min(chunk, rows - from) }, (_, i) => from + i);
    const compare = comparer.against(await logitsOf(reference, wanted, theirs), wanted.length);
    for (const [i, variant] of variants.entries()) {
      throwIfAborted(options.signal);
      sums[i] += sumDivergences(await compare(await logitsOf(variant, wanted, ours)));
      options.onChunk?.(wanted.length / rows);
    }
  }
  return sums.map((sum) => sum / rows);
}

/**
 * Rows of a chunk where `rows` are cut into as few chunks of at most `most` as there must be, of about the same size.
 */
export function evenChunk(rows: number, most: number): number {
  return Math.ceil(rows / Math.ceil(rows / most));
}

function logitsOf({ executor, hidden }: Output, rows: Int32Array, room: Float32Array): Promise<Float32Array> {
  return executor.logits(hidden, rows, { into: room.subarray(0, rows.length * executor.spec.vocabSize) });
}

function sumDivergences({ divergences }: ComparedRows): number {
  let sum = 0;
  for (const [i, divergence] of divergences.entries()) {
    if (!Number.isFinite(divergence)) throw notFinite(`kl: logits of row ${i}`);
    sum += divergence;
  }
  return sum;
}
