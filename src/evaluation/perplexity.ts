import type { PerplexityResult } from "./evaluation-result.ts";
import { meanWithError } from "./statistics.ts";

/** -ln q(target) in nats of a row of logits, [vocabSize], and its log-sum-exp. */
export function negativeLogLikelihood(logits: Float32Array, logSumExp: number, target: number): number {
  return logSumExp - logits[target];
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
