/**
 * Softmax arithmetic on one row of logits: float64 sums, one pass over the vocabulary for each exponential.
 *
 * Math.exp costs about 15 ns in V8; at 50,000 entries a row that is more than the matrix product behind it.
 * `expNegative` costs about 4 ns and is exact to 4e-14 relative: e^-x = 2^(-n/64) e^f with a table for the first
 * factor, a short series for f.
 */
const STEPS = 64;
const STEPS_PER_NAT = STEPS / Math.LN2;
const NATS_PER_STEP = Math.LN2 / STEPS;
/** e^-44 = 8e-20: even a million such terms vanish beside the largest, which is 1. */
const CUT = 44;
const POWERS = Float64Array.from({ length: STEPS * 64 + 1 }, (_, i) => 2 ** (-i / STEPS));

/** e^-x for x >= 0, at least e^-44; NaN stays NaN. */
export function expNegative(x: number): number {
  const y = Math.min(x, CUT);
  const n = (y * STEPS_PER_NAT + 0.5) | 0;
  const f = n * NATS_PER_STEP - y;
  return POWERS[n] * (1 + f * (1 + f * (1 / 2 + f * (1 / 6 + f * (1 / 24)))));
}

/** What one row of logits says by itself. */
export interface RowSummary {
  /** ln of the sum of e^logit; NaN when a logit is NaN or +Infinity, or all are -Infinity. */
  readonly logSumExp: number;
  /** Id of the largest logit; the lowest such id. */
  readonly argmax: number;
}

/** A row of the reference, ready to be compared with any number of others. */
export interface ReferenceRow extends RowSummary {
  /** [vocabSize] */
  readonly logits: Float32Array;
  /** [vocabSize], each e^(logit - max), not divided by their sum. */
  readonly weights: Float32Array;
  /** Sum of `weights` as stored. */
  readonly mass: number;
}

/** A row compared with the reference row of the same position. */
export interface RowDivergence extends RowSummary {
  /** KL(reference || row) in nats over the full vocabulary. */
  readonly divergence: number;
}

function indexOfMax(logits: Float32Array): number {
  let best = 0;
  let max = -Infinity;
  for (let i = 0; i < logits.length; i++) {
    const value = logits[i];
    if (value > max) {
      max = value;
      best = i;
    }
  }
  return best;
}

/** Place of an id in the order of the logits, larger ones first, equal ones by id; from 0. logits: [vocabSize]. */
export function rankOf(logits: Float32Array, id: number): number {
  const own = logits[id];
  let before = 0;
  for (let i = 0; i < logits.length; i++) {
    if (logits[i] > own || (logits[i] === own && i < id)) before++;
  }
  return before;
}

/** Log-sum-exp and argmax of one row, [vocabSize]. */
export function summarizeRow(logits: Float32Array): RowSummary {
  const argmax = indexOfMax(logits);
  const max = logits[argmax];
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += expNegative(max - logits[i]);
  return { logSumExp: max + Math.log(sum), argmax };
}

/** Prepares a reference row; `weights` ([vocabSize]) is written and kept in the result, `logits` is kept too. */
export function prepareReferenceRow(logits: Float32Array, weights: Float32Array): ReferenceRow {
  const argmax = indexOfMax(logits);
  const max = logits[argmax];
  let sum = 0;
  let mass = 0;
  for (let i = 0; i < logits.length; i++) {
    const value = expNegative(max - logits[i]);
    sum += value;
    weights[i] = value;
    mass += Math.fround(value);
  }
  return { logits, weights, mass, logSumExp: max + Math.log(sum), argmax };
}

/**
 * KL(reference || row) = sum p (ln p - ln q), with p = weights / mass. The weights are stored in f32; because the two
 * log-sum-exps enter through the same mass, their rounding weighs only the log ratios, and a row equal to the reference
 * gives exactly 0.
 */
export function compareRow(reference: ReferenceRow, logits: Float32Array): RowDivergence {
  const { weights, logits: base } = reference;
  const summary = summarizeRow(logits);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += weights[i] * (base[i] - logits[i]);
  const divergence = sum / reference.mass - (reference.logSumExp - summary.logSumExp);
  return { ...summary, divergence };
}
