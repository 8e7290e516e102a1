import {
  type ComparedRows,
  emptyComparison,
  emptySummaries,
  type RowComparer,
  type RowSummaries,
} from "../row-comparison.ts";
import { compareRow, prepareReferenceRow, type ReferenceRow, rankOf, summarizeRow } from "./row-distribution.ts";

/** Compares rows in doubles, each by itself; keeps room for a reference from one to the next. */
export function plainComparer(): RowComparer {
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
  const vocab = logits.length / rows;
  return Array.from({ length: rows }, (_, i) => logits.subarray(i * vocab, (i + 1) * vocab));
}
