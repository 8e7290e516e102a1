import type { DivergenceResult } from "./evaluation-result.ts";
import { meanWithError, quantiles } from "./statistics.ts";

/** Numbers of tokens where model and reference agree. */
export interface Agreements {
  /** Both put the same token first. */
  readonly top1: number;
  /** The reference's first token is among the model's five likeliest. */
  readonly top5: number;
}

/**
 * KL(reference || compressed) per token: mean ± standard error, median, 90 %, 99 %, max; and how often both agree.
 * divergences: [tokens] in nats.
 */
export function summarizeDivergence(divergences: Float64Array, agreements: Agreements): DivergenceResult {
  const { mean, error } = meanWithError(divergences);
  const [median, p90, p99, max] = quantiles(divergences, [0.5, 0.9, 0.99, 1]);
  const count = divergences.length;
  const [top1, top5] = [agreements.top1 / count, agreements.top5 / count];
  const errorOf = (share: number) => (count > 1 ? Math.sqrt((share * (1 - share)) / (count - 1)) : 0);
  return {
    mean,
    meanError: error,
    median,
    p90,
    p99,
    max,
    top1Agreement: top1,
    top1AgreementError: errorOf(top1),
    top5Agreement: top5,
    top5AgreementError: errorOf(top5),
  };
}
