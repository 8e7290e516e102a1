import { headMatrixId } from "../../model/decoder-spec.ts";
import { readOutputVectors } from "../../model/output-vectors.ts";
import type { WeightSource } from "../../model/weight-source.ts";

/**
 * The ids that exit heads score: the most frequent of some sequences, of equals the lower id, and whatever must be
 * among them (the tokens that end a text), which take the place of the least frequent. Rising, so that of equal logits
 * the lowest id wins as in the whole vocabulary. Null where so many ids are the whole vocabulary.
 */
export function frequentIds(
  sequences: readonly Int32Array[],
  {
    count,
    vocabSize,
    always,
  }: { readonly count: number; readonly vocabSize: number; readonly always: readonly number[] },
): Int32Array | null {
  if (count >= vocabSize) return null;
  const times = new Uint32Array(vocabSize);
  for (const sequence of sequences) for (const id of sequence) times[id]++;
  const kept = new Set(always.filter((id) => id < vocabSize));
  const byFrequency = Uint32Array.from({ length: vocabSize }, (_, id) => id).sort(
    (a, b) => times[b] - times[a] || a - b,
  );
  for (const id of byFrequency) {
    if (kept.size >= count) break;
    kept.add(id);
  }
  return Int32Array.from(kept).sort();
}

/** Rows of the output head that exit heads share, in f32, and what stands for the rest. */
export interface HeadRows {
  /** [ids, hiddenSize], as the packed output head says them. */
  readonly matrix: Float32Array;
  /** [ids], or null. */
  readonly bias: Float32Array | null;
  /**
   * The tail's row where nothing has been learned: the mean of the rows left out and the logarithm of their number,
   * which is the most that their log-sum-exp is sure to reach. Null where none is left out.
   */
  readonly tail: { readonly weight: Float32Array; readonly bias: number } | null;
}

/** Rows read at a time. */
const ROWS_PER_READ = 1024;

/** Gathers the rows of `ids` (null: all) of a source's output head; a piece of it at a time. */
export async function gatherHeadRows(source: WeightSource, ids: Int32Array | null): Promise<HeadRows> {
  const { vocabSize, hiddenSize } = source.spec;
  const { headBias: bias } = await readOutputVectors(source);
  const places = new Int32Array(vocabSize).fill(ids ? -1 : 0);
  const count = ids ? ids.length : vocabSize;
  for (let i = 0; i < count; i++) places[ids ? ids[i] : i] = i;
  const matrix = new Float32Array(count * hiddenSize);
  const sums = new Float64Array(hiddenSize);
  for (let from = 0; from < vocabSize; from += ROWS_PER_READ) {
    const to = Math.min(vocabSize, from + ROWS_PER_READ);
    const rows = await source.readRows(headMatrixId(source.spec), from, to);
    for (let id = from; id < to; id++) {
      const row = rows.subarray((id - from) * hiddenSize, (id - from + 1) * hiddenSize);
      if (places[id] >= 0) matrix.set(row, places[id] * hiddenSize);
      else for (let col = 0; col < hiddenSize; col++) sums[col] += row[col];
    }
  }
  const gathered = bias && Float32Array.from({ length: count }, (_, i) => bias[ids ? ids[i] : i]);
  const others = vocabSize - count;
  if (others === 0) return { matrix, bias: gathered, tail: null };
  const restBias = bias ? bias.reduce((sum, value, id) => (places[id] < 0 ? sum + value : sum), 0) / others : 0;
  const weight = Float32Array.from(sums, (sum) => sum / others);
  return { matrix, bias: gathered, tail: { weight, bias: Math.fround(Math.log(others) + restBias) } };
}
