import { CODECS, codecIdOf, codecOf } from "../codecs/index.ts";
import type { Maths } from "../maths/maths.ts";
import {
  type DenseMatrix,
  denseMatrix,
  type Matrix,
  type PackedMatrix,
  type WeightSource,
} from "../model/weight-source.ts";
import type { QuantizerId } from "./index.ts";
import { type Packer, packerOf } from "./packer.ts";
import type { Quantizer } from "./quantizer.ts";

/**
 * What becomes of a matrix when it is read; null leaves it alone. It is also called with some rows of a matrix, so it
 * must treat each row by itself.
 */
export type MatrixTransform = (id: string, matrix: DenseMatrix) => Matrix | null | Promise<Matrix | null>;

/**
 * A source whose matrices are transformed at each read, and nothing is kept: plans are tried without writing an
 * artifact.
 */
export function quantizedOverlay(source: WeightSource, transform: MatrixTransform): WeightSource {
  return {
    spec: source.spec,
    label: source.label,
    async readMatrix(id) {
      const matrix = await source.readMatrix(id);
      return (await transform(id, denseMatrix(matrix))) ?? matrix;
    },
    async readRows(id, from, to) {
      const data = await source.readRows(id, from, to);
      if (from === to) return data;
      const changed = await transform(id, { kind: "dense", rows: to - from, cols: data.length / (to - from), data });
      return changed ? denseMatrix(changed).data : data;
    },
    readVector: (id) => source.readVector(id),
    close: () => source.close(),
  };
}

/** A transform that stores every matrix by one codec. Throws UserError on an unknown codec or quantizer. */
export function packWith(maths: Maths, codecId: string, quantizer: QuantizerId | Quantizer): MatrixTransform {
  codecOf(codecId);
  const packer = packerOf(maths, quantizer);
  return (id, matrix) => packMatrix(id, matrix, codecId, packer);
}

/** Quantizes and packs one matrix; `id` names it in messages. */
export async function packMatrix(
  id: string,
  matrix: DenseMatrix,
  codecId: string,
  packer: Packer,
): Promise<PackedMatrix> {
  const codec = codecIdOf(codecId);
  const bytes = await packer(matrix, CODECS[codec], { label: id });
  return { kind: "packed", codec, rows: matrix.rows, cols: matrix.cols, bytes };
}
