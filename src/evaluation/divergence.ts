import type { DivergenceResult } from "./evaluation-result.ts";
import { meanWithError, quantiles } from "./statistics.ts";

/**
 * KL(reference || compressed) per token: mean ± standard error, median, 90 %, 99 %, max; and how often both put the same
 * token first. divergences: [tokens] in nats; agreements: number of tokens with equal argmax.
 */
export function summarizeDivergence(divergences: Float64Array, agreements: number): DivergenceResult {
  const { mean, error } = meanWithError(divergences);
  const [median, p90, p99, max] = quantiles(divergences, [0.5, 0.9, 0.99, 1]);
  const count = divergences.length;
  const share = agreements / count;
  return {
    mean,
    meanError: error,
    median,
    p90,
    p99,
    max,
    top1Agreement: share,
    top1AgreementError: count > 1 ? Math.sqrt((share * (1 - share)) / (count - 1)) : 0,
  };
}
