import type { DecoderSpec } from "../model/decoder-spec.ts";
import type { WeightSource } from "../model/weight-source.ts";

/** Rows read in one go at most, and rows read in vain at most between two that are wanted. */
const MOST_ROWS = 1024;
const MOST_GAP = 8;

/**
 * Writes hidden[0] of ids to `out`, [ids.length, hiddenSize], in f32. Every row of the embedding is read at most once.
 */
export async function embedRows(source: WeightSource, ids: Int32Array, out: Float32Array): Promise<void> {
  const { hiddenSize } = source.spec;
  const rows = new Map<number, Float32Array>();
  for (const run of runsOf([...new Set(ids)].sort((a, b) => a - b))) {
    const [from, to] = [run[0], run[run.length - 1] + 1];
    const data = await source.readRows("embedding", from, to);
    // Copies of what is wanted, so that the rest of a run need not stay.
    for (const id of run) rows.set(id, data.slice((id - from) * hiddenSize, (id - from + 1) * hiddenSize));
  }
  ids.forEach((id, i) => {
    out.set(rows.get(id) ?? [], i * hiddenSize);
  });
  scaleEmbedded(source.spec, out.subarray(0, ids.length * hiddenSize));
}

/** Rows of the embedding as the first block takes them, in place: times the model's embedding scale. */
export function scaleEmbedded({ embeddingScale }: DecoderSpec, rows: Float32Array): void {
  if (embeddingScale === 1) return;
  for (let i = 0; i < rows.length; i++) rows[i] *= embeddingScale;
}

/** Ascending ids in runs that lie close together. */
function runsOf(ids: readonly number[]): number[][] {
  const runs: number[][] = [];
  for (const id of ids) {
    const run = runs.at(-1);
    if (run && id - run[run.length - 1] <= MOST_GAP && id - run[0] < MOST_ROWS) run.push(id);
    else runs.push([id]);
  }
  return runs;
}
