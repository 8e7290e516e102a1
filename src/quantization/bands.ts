import { TILE_ROWS } from "../codecs/codec.ts";
import { throwIfAborted } from "../errors.ts";
import type { DenseMatrix, WeightSource } from "../model/weight-source.ts";

/** Enough to be fast; a whole matrix could be too much: an embedding can be larger than all blocks together. */
const BAND_WEIGHTS = 4 * 1024 * 1024;

/** What a matrix's rows are read from. */
export type RowSource = Pick<WeightSource, "label" | "readRows">;

/** A matrix of a source that is read some rows at a time. */
export interface MatrixBands {
  readonly source: RowSource;
  readonly id: string;
  readonly rows: number;
  readonly cols: number;
  /** Weights in memory at a time, 4 Mi (16 MiB in f32) by default; at least 16 rows are. */
  readonly bandWeights?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Whole tiles of rows, from the first on. Throws Interrupted. */
export async function* bandsOf({
  source,
  id,
  rows,
  cols,
  bandWeights = BAND_WEIGHTS,
  signal,
}: MatrixBands): AsyncGenerator<{ readonly band: DenseMatrix; readonly firstRow: number }> {
  const bandRows = Math.max(1, Math.floor(bandWeights / cols / TILE_ROWS)) * TILE_ROWS;
  for (let firstRow = 0; firstRow < rows; firstRow += bandRows) {
    throwIfAborted(signal);
    const to = Math.min(rows, firstRow + bandRows);
    const data = await source.readRows(id, firstRow, to);
    if (data.length !== (to - firstRow) * cols) {
      throw new Error(`${source.label}: ${id}: ${data.length} weights in ${to - firstRow} rows of ${cols}`);
    }
    yield { band: { kind: "dense", rows: to - firstRow, cols, data }, firstRow };
  }
}

/** The rows of a source; those read last are kept: every codec wants them again, and who looks at them first. */
export function keepingRows(source: RowSource): RowSource {
  let last: { readonly name: string; readonly rows: Promise<Float32Array> } | undefined;
  return {
    label: source.label,
    readRows: (id, from, to) => {
      const name = `${id} ${from} ${to}`;
      if (last?.name !== name) last = { name, rows: source.readRows(id, from, to) };
      return last.rows;
    },
  };
}
