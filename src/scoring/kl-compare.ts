import { throwIfAborted } from "../errors.ts";
import { rowsOfLogits } from "../evaluation/logit-rows.ts";
import { type ComparedRows, rowComparer } from "../evaluation/row-comparison.ts";
import type { AnyExecutor } from "../runtime/executor.ts";

/** A last hidden state and the executor whose output head reads it. */
export interface Output {
  readonly executor: AnyExecutor;
  readonly hidden: unknown;
}

/**
 * Mean KL(reference || variant) in nats over all rows, for each variant. Logits are made in chunks of `logitBytes`; those of the
 * reference once a chunk for all variants. Compared on the reference's engine, where it has one. `onChunk` hears the share done after each.
 */
export async function compareOutputs(
  reference: Output,
  variants: readonly Output[],
  rows: number,
  options: { readonly logitBytes: number; readonly signal?: AbortSignal | undefined; onChunk?(share: number): void },
): Promise<number[]> {
  const { vocabSize } = reference.executor.spec;
  const chunk = Math.min(rows, rowsOfLogits(vocabSize, options.logitBytes));
  const comparer = rowComparer(reference.executor.offline ?? null);
  const sums = variants.map(() => 0);
  for (let from = 0; from < rows; from += chunk) {
    const wanted = Int32Array.from({ length: Math.min(chunk, rows - from) }, (_, i) => from + i);
    const compare = comparer.against(await reference.executor.logits(reference.hidden, wanted), wanted.length);
    for (const [i, variant] of variants.entries()) {
      throwIfAborted(options.signal);
      sums[i] += sumDivergences(await compare(await variant.executor.logits(variant.hidden, wanted)));
      options.onChunk?.(wanted.length / rows);
    }
  }
  return sums.map((sum) => sum / rows);
}

function sumDivergences({ divergences }: ComparedRows): number {
  let sum = 0;
  for (const [i, divergence] of divergences.entries()) {
    if (!Number.isFinite(divergence)) throw new Error(`kl: row ${i}: logits hold NaN or infinity`);
    sum += divergence;
  }
  return sum;
}
