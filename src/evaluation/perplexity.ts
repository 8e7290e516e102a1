import type { PerplexityResult } from "./evaluation-result.ts";
import type { RowSummary } from "./row-distribution.ts";
import { meanWithError } from "./statistics.ts";

/** -ln q(target) of a row in nats. */
export function negativeLogLikelihood(logits: Float32Array, summary: RowSummary, target: number): number {
  return summary.logSumExp - logits[target];
}

/**
 * Perplexity e^(mean nll) over all scored tokens. Its error is the standard error of the mean nll carried through the
 * exponential (perplexity x error), as llama.cpp prints it.
 */
export function summarizePerplexity(nlls: Float64Array): PerplexityResult {
  const { mean, error } = meanWithError(nlls);
  const perplexity = Math.exp(mean);
  return { meanNll: mean, meanNllError: error, perplexity, perplexityError: perplexity * error };
}
