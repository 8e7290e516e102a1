import type { Confidence } from "../../artifact/exits/table.ts";

/** What one exit head said of each token of a text. */
export interface ExitAnswers {
  /** [tokens], of the metric; not finite: it cannot exit. */
  readonly confidence: Float32Array;
  /** [tokens], 1 where its answer is the full model's. */
  readonly agrees: Uint8Array;
  /** [tokens], 1 where the answer is outside its vocabulary: it never exits there. */
  readonly outside: Uint8Array;
}

/** A threshold, and what it did on the tokens that it was fitted to. */
export interface FittedThreshold {
  /** On the metric's own scale; null: the exit is disabled. */
  readonly threshold: number | null;
  /** Tokens that leave here. */
  readonly taken: number;
  /** Of these. */
  readonly agreeing: number;
}

/**
 * The threshold of largest coverage whose cumulative agreement is at least epsilon, on the tokens listed in `alive`.
 * Equal confidences stand or fall together. (Valade 2024, arXiv 2407.21082, rule max_coverage.)
 */
export function fitThreshold(
  answers: ExitAnswers,
  alive: Int32Array,
  { metric, epsilon }: { readonly metric: Confidence; readonly epsilon: number },
): FittedThreshold {
  const doubt = doubtOf(metric);
  const { confidence, agrees, outside } = answers;
  const ordered = alive
    .filter((token) => outside[token] === 0 && Number.isFinite(confidence[token]))
    .sort((a, b) => doubt(confidence[a]) - doubt(confidence[b]));
  let best: FittedThreshold = { threshold: null, taken: 0, agreeing: 0 };
  let agreeing = 0;
  for (let k = 0; k < ordered.length; k++) {
    agreeing += agrees[ordered[k]];
    const value = confidence[ordered[k]];
    if (k + 1 < ordered.length && confidence[ordered[k + 1]] === value) continue;
    if (agreeing / (k + 1) >= epsilon) best = { threshold: value, taken: k + 1, agreeing };
  }
  return best;
}

/**
 * Thresholds of all exits of a cascade for one epsilon, in order: each is fitted to the tokens that the ones before it
 * passed on, so that the cascade as a whole agrees with the full model in epsilon of the tokens that leave it early.
 */
export function fitCascade(
  exits: readonly ExitAnswers[],
  options: { readonly metric: Confidence; readonly epsilon: number },
): FittedThreshold[] {
  const tokens = exits[0]?.confidence.length ?? 0;
  let alive = Int32Array.from({ length: tokens }, (_, token) => token);
  return exits.map((answers) => {
    const fitted = fitThreshold(answers, alive, options);
    alive = alive.filter((token) => !leaves(answers, token, options.metric, fitted.threshold));
    return fitted;
  });
}

/** Whether a token leaves at an exit. */
export function leaves(answers: ExitAnswers, token: number, metric: Confidence, threshold: number | null): boolean {
  const { confidence, outside } = answers;
  if (threshold === null || outside[token] !== 0 || !Number.isFinite(confidence[token])) return false;
  const doubt = doubtOf(metric);
  return doubt(confidence[token]) <= doubt(threshold);
}

/** The metric turned so that less is surer. */
function doubtOf(metric: Confidence): (value: number) => number {
  return metric === "entropy" ? (value) => value : (value) => -value;
}
