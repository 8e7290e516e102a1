/** What rows of logits say by themselves, [rows] each. */
export interface RowSummaries {
  /** ln of the sum of e^logit; not finite when a logit is NaN or +Infinity, or all are -Infinity. */
  readonly logSumExps: Float64Array;
  /** Id of the largest logit; the lowest such id. */
  readonly argmaxes: Int32Array;
}

/** Rows beside the reference rows of the same positions, [rows] each. */
export interface ComparedRows extends RowSummaries {
  readonly reference: RowSummaries;
  /** KL(reference || row) in nats over the full vocabulary; not finite where a logit of either is not. */
  readonly divergences: Float64Array;
  /** Place of the reference's argmax in the order of the row's logits, from 0. */
  readonly ranks: Int32Array;
}

/**
 * Sums up and compares many rows at a time. An array passed in must not be written until the promise settles. The
 * engine's exponentials are f32: a log-sum-exp is within 1e-6 nats of the plain one, a divergence D within 4e-6 sqrt(D)
 * + 1e-5 D; any number of threads gives the same bits.
 */
export interface RowComparer {
  /** logits: [rows, vocabSize] */
  summarize(logits: Float32Array, rows: number): Promise<RowSummaries>;
  /** Compares with reference: [rows, vocabSize]; until the next call of `against`. */
  against(reference: Float32Array, rows: number): (logits: Float32Array) => Promise<ComparedRows>;
}

/** Room for the summaries of some rows. */
export function emptySummaries(rows: number): RowSummaries {
  return { logSumExps: new Float64Array(rows), argmaxes: new Int32Array(rows) };
}

/** Room for the comparison of some rows. */
export function emptyComparison(rows: number): ComparedRows {
  const divergences = new Float64Array(rows);
  return { ...emptySummaries(rows), reference: emptySummaries(rows), divergences, ranks: new Int32Array(rows) };
}
