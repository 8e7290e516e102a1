import type { Codec } from "../codecs/codec.ts";
import type { DenseMatrix } from "../model/weight-source.ts";

/**
 * A matrix with 0 wherever a sparse codec stores nothing: of every `of` columns of a row the `count` of the largest
 * w² · importance stay, the first of equals first; `importance` [cols], positive. The matrix itself for other codecs.
 */
export function keepLargest(matrix: DenseMatrix, { kept }: Codec, importance: ArrayLike<number>): DenseMatrix {
  if (!kept) return matrix;
  const { rows, cols } = matrix;
  const data = new Float32Array(rows * cols);
  for (let row = 0; row < rows; row++) {
    for (let from = 0; from < cols; from += kept.of) {
      const columns = Array.from({ length: Math.min(kept.of, cols - from) }, (_, i) => from + i);
      const score = (col: number) => matrix.data[row * cols + col] ** 2 * importance[col];
      columns.sort((a, b) => score(b) - score(a) || a - b);
      for (const col of columns.slice(0, kept.count)) data[row * cols + col] = matrix.data[row * cols + col];
    }
  }
  return { ...matrix, data };
}
