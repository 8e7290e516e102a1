import type { NativeOffline } from "../native/offline-maths.ts";
import { compareRow, prepareReferenceRow, type ReferenceRow, rankOf, summarizeRow } from "./row-distribution.ts";

/** What rows of logits say by themselves, [rows] each; see RowSummary. */
export interface RowSummaries {
  readonly logSumExps: Float64Array;
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

/** Sums up and compares many rows at a time. An array passed in must not be written until the promise settles. */
export interface RowComparer {
  /** logits: [rows, vocabSize] */
  summarize(logits: Float32Array, rows: number): Promise<RowSummaries>;
  /** Compares with reference: [rows, vocabSize]; until the next call of `against`. */
  against(reference: Float32Array, rows: number): (logits: Float32Array) => Promise<ComparedRows>;
}

/**
 * On the engine's threads, or without one in TypeScript (row-distribution.ts). The engine's exponentials are f32: a log-sum-exp is
 * within 1e-6 nats of TypeScript's, a divergence D within 4e-6 sqrt(D) + 1e-5 D; any number of threads gives the same bits.
 */
export function rowComparer(offline: NativeOffline | null): RowComparer {
  return offline ? engineComparer(offline) : plainComparer();
}

function engineComparer(offline: NativeOffline): RowComparer {
  return {
    async summarize(logits, rows) {
      const summaries = emptySummaries(rows);
      await offline.compareRows({ ...shapeOf(logits, rows), ...summaries });
      return summaries;
    },
    against: (reference, rows) => async (logits) => {
      const found = emptyComparison(rows);
      await offline.compareRows({
        ...shapeOf(logits, rows),
        logSumExps: found.logSumExps,
        argmaxes: found.argmaxes,
        reference,
        referenceLogSumExps: found.reference.logSumExps,
        referenceArgmaxes: found.reference.argmaxes,
        divergences: found.divergences,
        ranks: found.ranks,
      });
      return found;
    },
  };
}

function plainComparer(): RowComparer {
  let weights = new Float32Array(0);
  return {
    async summarize(logits, rows) {
      const summaries = emptySummaries(rows);
      for (const [i, row] of rowsOf(logits, rows).entries()) setRow(summaries, i, summarizeRow(row));
      return summaries;
    },
    against(reference, rows) {
      if (weights.length < reference.length) weights = new Float32Array(reference.length);
      const parts = rowsOf(weights.subarray(0, reference.length), rows);
      const base = rowsOf(reference, rows).map((row, i) => prepareReferenceRow(row, parts[i]));
      return async (logits) => compareRows(base, rowsOf(logits, rows));
    },
  };
}

function compareRows(base: readonly ReferenceRow[], rows: readonly Float32Array[]): ComparedRows {
  const found = emptyComparison(rows.length);
  for (const [i, row] of rows.entries()) {
    const compared = compareRow(base[i], row);
    setRow(found.reference, i, base[i]);
    setRow(found, i, compared);
    found.divergences[i] = compared.divergence;
    found.ranks[i] = compared.argmax === base[i].argmax ? 0 : rankOf(row, base[i].argmax);
  }
  return found;
}

function setRow(to: RowSummaries, i: number, row: { readonly logSumExp: number; readonly argmax: number }): void {
  to.logSumExps[i] = row.logSumExp;
  to.argmaxes[i] = row.argmax;
}

function rowsOf(logits: Float32Array, rows: number): Float32Array[] {
  const { vocab } = shapeOf(logits, rows);
  return Array.from({ length: rows }, (_, i) => logits.subarray(i * vocab, (i + 1) * vocab));
}

function shapeOf(logits: Float32Array, rows: number): { logits: Float32Array; rows: number; vocab: number } {
  return { logits, rows, vocab: logits.length / rows };
}

function emptySummaries(rows: number): RowSummaries {
  return { logSumExps: new Float64Array(rows), argmaxes: new Int32Array(rows) };
}

function emptyComparison(rows: number): ComparedRows {
  const divergences = new Float64Array(rows);
  return { ...emptySummaries(rows), reference: emptySummaries(rows), divergences, ranks: new Int32Array(rows) };
}
