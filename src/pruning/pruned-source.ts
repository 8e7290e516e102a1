import { type DecoderSpec, linearsOf } from "../model/decoder-spec.ts";
import { idOf, partsOf } from "../model/matrix-id.ts";
import { type DenseMatrix, denseMatrix, type Matrix, matrixRows, type WeightSource } from "../model/weight-source.ts";
import { type BlockCut, type KeptPlaces, keptOf } from "./cut.ts";

/** Where a pruned model's weights come from. */
export interface PrunedParts {
  /** The uncut model; stays the caller's to close. */
  readonly source: WeightSource;
  /** Of the model as cut. */
  readonly spec: DecoderSpec;
  /** What is left of a block; asked whenever it is read. */
  cutOf(block: number): BlockCut;
  readonly repaired: RepairedMatrices;
}

/** Matrices that make up for what was cut, as cut, by their ids; null: the uncut model's own, cut. */
interface RepairedMatrices {
  matrixAt(id: string): Promise<DenseMatrix | null>;
  /** Rows [from, to). */
  rowsAt(id: string, from: number, to: number): Promise<Float32Array | null>;
}

/** Matrices that are in memory, by their ids. */
export function heldMatrices(matrices: ReadonlyMap<string, DenseMatrix>): RepairedMatrices {
  return {
    matrixAt: async (id) => matrices.get(id) ?? null,
    rowsAt: async (id, from, to) => {
      const matrix = matrices.get(id);
      return matrix ? matrixRows(matrix, from, to).slice() : null;
    },
  };
}

/** Rows or columns of a matrix, ascending. */
type Places = readonly number[] | null;

/**
 * A checkpoint as pruned: its own weights without what was cut, and the matrices that make up for it. To everything
 * that reads it, it is a checkpoint with smaller blocks.
 */
export function prunedSource({ source, spec, cutOf, repaired }: PrunedParts): WeightSource {
  const kept = (id: string) => keptIn(source.spec, id, cutOf);
  const readRows = async (id: string, from: number, to: number): Promise<Float32Array> => {
    const better = await repaired.rowsAt(id, from, to);
    if (better) return better;
    const { rows, cols } = kept(id);
    return columns(await pickRows(source, id, rows?.slice(from, to) ?? null, [from, to]), to - from, cols);
  };
  return {
    spec,
    label: source.label,
    readRows,
    async readMatrix(id): Promise<Matrix> {
      const better = await repaired.matrixAt(id);
      if (better) return better;
      const { rows, cols } = kept(id);
      const whole = await source.readMatrix(id);
      if (!rows && !cols) return whole;
      const matrix = denseMatrix(whole);
      const height = rows?.length ?? matrix.rows;
      const data = columns(rows ? rowsOf(matrix.data, matrix.cols, rows) : matrix.data, height, cols);
      return { kind: "dense", rows: height, cols: cols?.length ?? matrix.cols, data };
    },
    async readVector(id) {
      const whole = await source.readVector(id);
      const { rows } = id.endsWith(".bias") ? kept(id.slice(0, -".bias".length)) : ALL;
      return rows ? rowsOf(whole, 1, rows) : whole;
    },
    close: async () => undefined,
  };
}

const ALL: KeptPlaces = { rows: null, cols: null };

/** What is kept of a matrix by its id; all of what is no matrix of a block. */
function keptIn(spec: DecoderSpec, id: string, cutOf: PrunedParts["cutOf"]): KeptPlaces {
  const parts = partsOf(id);
  if (!parts) return ALL;
  const block = spec.blocks[parts.block];
  const known = linearsOf(block).find(({ role }) => idOf(parts.block, role) === id);
  return known ? keptOf(known.role, block, cutOf(parts.block)) : ALL;
}

/** Some rows of a matrix, or those in a range where all are kept; reads one piece that holds them. */
async function pickRows(
  source: WeightSource,
  id: string,
  rows: Places,
  [from, to]: readonly [number, number],
): Promise<Float32Array> {
  if (!rows) return source.readRows(id, from, to);
  if (rows.length === 0) return new Float32Array(0);
  const first = rows[0];
  const last = rows[rows.length - 1];
  const piece = await source.readRows(id, first, last + 1);
  return rowsOf(
    piece,
    piece.length / (last + 1 - first),
    rows.map((row) => row - first),
  );
}

function rowsOf(data: Float32Array, cols: number, rows: readonly number[]): Float32Array {
  const picked = new Float32Array(rows.length * cols);
  for (const [to, row] of rows.entries()) picked.set(data.subarray(row * cols, (row + 1) * cols), to * cols);
  return picked;
}

/** The kept columns of so many rows. */
function columns(data: Float32Array, rows: number, cols: Places): Float32Array {
  if (!cols) return data;
  const width = data.length / rows;
  const picked = new Float32Array(rows * cols.length);
  for (let row = 0; row < rows; row++)
    for (let i = 0; i < cols.length; i++) picked[row * cols.length + i] = data[row * width + cols[i]];
  return picked;
}
