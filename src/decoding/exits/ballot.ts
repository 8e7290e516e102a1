/** The logits of one voter on some rows: each of its first logits is one id's, what follows them is no vote. */
export interface Vote {
  /** [rows, width] */
  readonly logits: Float32Array;
  /** Ids of its logits, by index; null: every id of the vocabulary, in order. */
  readonly ids: Int32Array | null;
}

/**
 * What several heads say together: p(t) = max_e p_e(t) / sum_t' max_e p_e(t'), as logarithms, [rows, vocabSize]
 * (EDGE-LLM's vote, arXiv 2406.15758). Each p_e is the softmax of all of a voter's logits, its tail's too, which no id
 * gets. The order of voters does not matter, and one voter over the whole vocabulary keeps its distribution. An id that
 * nobody votes for has -Infinity.
 */
export function countVotes(votes: readonly Vote[], rows: number, vocabSize: number): Float32Array {
  const counted = new Float32Array(rows * vocabSize).fill(Number.NEGATIVE_INFINITY);
  for (const { logits, ids } of votes) {
    const width = logits.length / rows;
    for (let row = 0; row < rows; row++) {
      const to = counted.subarray(row * vocabSize, (row + 1) * vocabSize);
      addVote(logits.subarray(row * width, (row + 1) * width), ids, to);
    }
  }
  for (let row = 0; row < rows; row++) normalize(counted.subarray(row * vocabSize, (row + 1) * vocabSize));
  return counted;
}

/** Raises what stands to a voter's logarithms where those are higher. */
function addVote(logits: Float32Array, ids: Int32Array | null, to: Float32Array): void {
  const mass = logSumExp(logits);
  const count = ids?.length ?? to.length;
  for (let i = 0; i < count; i++) {
    const id = ids === null ? i : ids[i];
    to[id] = Math.max(to[id], logits[i] - mass);
  }
}

function normalize(logarithms: Float32Array): void {
  const mass = logSumExp(logarithms);
  for (let i = 0; i < logarithms.length; i++) logarithms[i] -= mass;
}

/** NaN where a number is not finite (-Infinity apart). */
function logSumExp(numbers: Float32Array): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (const number of numbers) largest = Math.max(largest, number);
  let sum = 0;
  for (const number of numbers) sum += Math.exp(number - largest);
  return largest + Math.log(sum);
}
