import { throwIfAborted } from "../errors.ts";
import { rowsOfLogits } from "../evaluation/logit-rows.ts";
import { compareRow, prepareReferenceRow, type ReferenceRow } from "../evaluation/row-distribution.ts";
import type { AnyExecutor } from "../runtime/executor.ts";

/** A last hidden state and the executor whose output head reads it. */
export interface Output {
  readonly executor: AnyExecutor;
  readonly hidden: unknown;
}

/**
 * Mean KL(reference || variant) in nats over all rows, for each variant. Logits are made in chunks of `logitBytes`; those of the
 * reference, with their exponentials, once a chunk for all variants. `onChunk` hears the share done after each.
 */
export async function compareOutputs(
  reference: Output,
  variants: readonly Output[],
  rows: number,
  options: { readonly logitBytes: number; readonly signal?: AbortSignal | undefined; onChunk?(share: number): void },
): Promise<number[]> {
  const { vocabSize } = reference.executor.spec;
  const chunk = Math.min(rows, rowsOfLogits(vocabSize, options.logitBytes));
  const weights = new Float32Array(chunk * vocabSize);
  const sums = variants.map(() => 0);
  for (let from = 0; from < rows; from += chunk) {
    const wanted = Int32Array.from({ length: Math.min(chunk, rows - from) }, (_, i) => from + i);
    const base = prepareRows(await reference.executor.logits(reference.hidden, wanted), weights, vocabSize);
    for (const [i, variant] of variants.entries()) {
      throwIfAborted(options.signal);
      sums[i] += sumDivergences(base, await variant.executor.logits(variant.hidden, wanted));
      options.onChunk?.(wanted.length / rows);
    }
  }
  return sums.map((sum) => sum / rows);
}

/** logits, weights: [rows, vocabSize]; the rows keep views of both. */
function prepareRows(logits: Float32Array, weights: Float32Array, vocabSize: number): ReferenceRow[] {
  return Array.from({ length: logits.length / vocabSize }, (_, i) => {
    const from = i * vocabSize;
    return prepareReferenceRow(logits.subarray(from, from + vocabSize), weights.subarray(from, from + vocabSize));
  });
}

function sumDivergences(base: readonly ReferenceRow[], logits: Float32Array): number {
  const vocabSize = logits.length / base.length;
  let sum = 0;
  for (let i = 0; i < base.length; i++) {
    const { divergence } = compareRow(base[i], logits.subarray(i * vocabSize, (i + 1) * vocabSize));
    if (!Number.isFinite(divergence)) throw new Error(`kl: row ${i}: logits hold NaN or infinity`);
    sum += divergence;
  }
  return sum;
}
