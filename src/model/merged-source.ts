import type { LowRankPart } from "./low-rank.ts";
import { idOf } from "./matrix-id.ts";
import { denseMatrix, type WeightSource } from "./weight-source.ts";

/** A model with an adapter merged into its matrices, W + factor * B A in f32; the source stays open. */
export function mergedSource(source: WeightSource, parts: readonly LowRankPart[]): WeightSource {
  const additions = new Map(parts.map((part) => [idOf(part.block, part.role), part]));
  return {
    spec: source.spec,
    label: source.label,
    async readMatrix(id) {
      const matrix = await source.readMatrix(id);
      const part = additions.get(id);
      if (!part) return matrix;
      const { rows, cols, data } = denseMatrix(matrix);
      return { kind: "dense", rows, cols, data: merged(data, part, 0) };
    },
    async readRows(id, from, to) {
      const rows = await source.readRows(id, from, to);
      const part = additions.get(id);
      return part ? merged(rows, part, from) : rows;
    },
    readVector: (id) => source.readVector(id),
    assertIntact: () => source.assertIntact?.(),
    close: async () => undefined,
  };
}

/** Rows of a matrix from `first` on, with what a part adds to them; each sum is rounded once. */
function merged(weights: Float32Array, { rank, a, b, factor }: LowRankPart, first: number): Float32Array {
  const cols = a.length / rank;
  const out = new Float32Array(weights.length);
  const sum = new Float64Array(cols);
  for (let row = 0; row * cols < weights.length; row++) {
    sum.fill(0);
    for (let r = 0; r < rank; r++) {
      const scale = factor * b[(first + row) * rank + r];
      for (let col = 0; col < cols; col++) sum[col] += scale * a[r * cols + col];
    }
    for (let col = 0; col < cols; col++) out[row * cols + col] = weights[row * cols + col] + sum[col];
  }
  return out;
}
