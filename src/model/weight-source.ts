import { CODECS, type CodecId } from "../codecs/index.ts";
import type { DecoderSpec } from "./decoder-spec.ts";
import type { LowRankPart } from "./low-rank.ts";

/** A matrix in f32, row-major. */
export interface DenseMatrix {
  readonly kind: "dense";
  readonly rows: number;
  readonly cols: number;
  /** [rows, cols] */
  readonly data: Float32Array;
}

/** A matrix as a codec stores it; `bytes.length` is the codec's packedBytes(rows, cols). */
export interface PackedMatrix {
  readonly kind: "packed";
  readonly codec: CodecId;
  readonly rows: number;
  readonly cols: number;
  readonly bytes: Uint8Array;
}

/** Where a packed matrix lies: `bytes` bytes from `offset` of a file. */
export interface MatrixPlace extends Omit<PackedMatrix, "kind" | "bytes"> {
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
}

export type Matrix = DenseMatrix | PackedMatrix;

/** The matrix in f32; a dense one itself. */
export function denseMatrix(matrix: Matrix): DenseMatrix {
  if (matrix.kind === "dense") return matrix;
  const { rows, cols } = matrix;
  return { kind: "dense", rows, cols, data: CODECS[matrix.codec].unpackRows(matrix, 0, rows) };
}

/** Rows [from, to) in f32, [to - from, cols]; of a dense matrix a view. */
export function matrixRows(matrix: Matrix, from: number, to: number): Float32Array {
  if (matrix.kind === "packed") return CODECS[matrix.codec].unpackRows(matrix, from, to);
  return matrix.data.subarray(from * matrix.cols, to * matrix.cols);
}

/** A source whose matrices can be read from their files by others. */
export type PlacedSource = WeightSource & Required<Pick<WeightSource, "placeOf">>;

export function isPlaced(source: WeightSource): source is PlacedSource {
  return source.placeOf !== undefined;
}

/**
 * Where weights come from: a checkpoint (dense, read from disk when asked for), an artifact (packed), or an overlay.
 * Ids are those of `matricesOf` and `vectorsOf`; an unknown id is a bug.
 */
export interface WeightSource {
  readonly spec: DecoderSpec;
  /** File or folder, for messages. */
  readonly label: string;
  /** The whole matrix. A packed source returns the same bytes at every call; a checkpoint reads the file anew. */
  readMatrix(id: string): Promise<Matrix>;
  /** Rows [from, to) in f32, [to - from, cols]; reads no more than it must. */
  readRows(id: string, from: number, to: number): Promise<Float32Array>;
  /** Where a matrix lies in a file as it is given out. Absent: the source makes it from something else. */
  placeOf?(id: string): MatrixPlace;
  /** A norm weight or bias in f32. */
  readVector(id: string): Promise<Float32Array>;
  /** What an adapter adds to the blocks' matrices, as part of the model. Absent: nothing. */
  readAdditions?(): Promise<readonly LowRankPart[]>;
  /**
   * Throws UserError `FILE_TRUNCATED` where a file was cut short whose mapped memory this source gives out: whoever has
   * computed with that memory asks before anything comes of it. Absent: what is given out was read.
   */
  assertIntact?(): void;
  close(): Promise<void>;
}
