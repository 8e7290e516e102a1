import type { RowSpan } from "../runtime/kv-cache.ts";

/** Some sequences that run in one pass. */
export interface RowGroup {
  readonly index: number;
  /** Ids of the sequences one after the other, [rows]. */
  readonly ids: Int32Array;
  readonly spans: readonly RowSpan[];
}

/** Consecutive sequences in groups of at most `rowsPerPass` rows, at least one a group. */
export function groupSequences(sequences: readonly Int32Array[], rowsPerPass: number): RowGroup[] {
  const parts: Int32Array[][] = [];
  let rows = Number.POSITIVE_INFINITY;
  for (const sequence of sequences) {
    if (rows + sequence.length > rowsPerPass) {
      parts.push([]);
      rows = 0;
    }
    parts[parts.length - 1].push(sequence);
    rows += sequence.length;
  }
  return parts.map((part, index) => rowGroup(part, index));
}

/** The sequences as the rows of one pass, each from position 0 and without a cache. */
export function rowGroup(sequences: readonly Int32Array[], index: number): RowGroup {
  const ids = new Int32Array(sequences.reduce((sum, sequence) => sum + sequence.length, 0));
  let at = 0;
  const spans = sequences.map((sequence): RowSpan => {
    ids.set(sequence, at);
    at += sequence.length;
    return { cache: null, position: 0, count: sequence.length };
  });
  return { index, ids, spans };
}
