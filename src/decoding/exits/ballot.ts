import type { RowComparer } from "../../maths/row-comparison.ts";

/** The logits of one voter on some rows: each of its first logits is one id's, what follows them is no vote. */
export interface Vote {
  /** [rows, width] */
  readonly logits: Float32Array;
  /** Ids of its logits, by index; null: every id of the vocabulary, in order. */
  readonly ids: Int32Array | null;
}

/** The rows that are voted on, and who sums them up. */
interface VotedRows {
  readonly rows: number;
  readonly vocabSize: number;
  readonly comparer: Pick<RowComparer, "summarize">;
}

/**
 * What several heads say together: p(t) = max_e p_e(t) / sum_t' max_e p_e(t'), as logarithms, [rows, vocabSize]
 * (EDGE-LLM's vote, arXiv 2406.15758). Each p_e is the softmax of all of a voter's logits, its tail's too, which no id
 * gets. The order of voters does not matter, and one voter over the whole vocabulary keeps its distribution. An id that
 * nobody votes for has -Infinity.
 */
export async function countVotes(
  votes: readonly Vote[],
  { rows, vocabSize, comparer }: VotedRows,
): Promise<Float32Array> {
  const counted = new Float32Array(rows * vocabSize).fill(Number.NEGATIVE_INFINITY);
  const rowOf = (logits: Float32Array, row: number) => {
    const width = logits.length / rows;
    return logits.subarray(row * width, (row + 1) * width);
  };
  for (const { logits, ids } of votes) {
    const { logSumExps } = await comparer.summarize(logits, rows);
    for (const [row, mass] of logSumExps.entries()) addVote(rowOf(logits, row), mass, ids, rowOf(counted, row));
  }
  const { logSumExps } = await comparer.summarize(counted, rows);
  for (const [row, mass] of logSumExps.entries()) {
    const own = rowOf(counted, row);
    for (let id = 0; id < vocabSize; id++) own[id] -= mass;
  }
  return counted;
}

/** Raises what stands to a voter's logarithms where those are higher. `mass`: the log-sum-exp of its logits. */
function addVote(logits: Float32Array, mass: number, ids: Int32Array | null, to: Float32Array): void {
  const count = ids?.length ?? to.length;
  for (let i = 0; i < count; i++) {
    const id = ids === null ? i : ids[i];
    to[id] = Math.max(to[id], logits[i] - mass);
  }
}
