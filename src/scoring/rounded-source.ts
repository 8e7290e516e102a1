import { matricesOf } from "../model/decoder-spec.ts";
import { type DenseMatrix, denseMatrix, type Matrix, matrixRows, type WeightSource } from "../model/weight-source.ts";

/** Gives a matrix as a codec would store it; null leaves it as it is. `packWith(maths, codec, quantizer)` makes one. */
export type Rounding = (id: string, matrix: DenseMatrix) => Matrix | null | Promise<Matrix | null>;

/** What matrices become at codecs: rounded when they are wanted, or out of a library. */
export interface CodecMatrices {
  /** A whole matrix at a codec. */
  at(id: string, codec: string): Promise<Matrix>;
  /**
   * The error at a codec that a matrix's loss is taken to follow, where it is known; null, or without the method: it is
   * not.
   */
  errorOf?(id: string, codec: string): Promise<number | null>;
}

/** A source's matrices, each rounded when it is asked for; nothing is kept. */
export function roundedMatrices(source: WeightSource, rounding: (codec: string) => Rounding): CodecMatrices {
  return {
    async at(id, codec) {
      const original = await source.readMatrix(id);
      return (await rounding(codec)(id, denseMatrix(original))) ?? original;
    },
  };
}

/**
 * The source with all its matrices at one codec. Those of one block (or the embedding, or the head) are kept until
 * another is asked for, so that an executor that reads rows or reads again does not round again.
 */
export function sourceAt(source: WeightSource, matrices: CodecMatrices, codec: string): WeightSource {
  const blockOf = new Map(matricesOf(source.spec).map((matrix) => [matrix.id, matrix.block ?? matrix.id]));
  const held = new Map<string, Matrix>();
  let heldUnit: number | string | undefined;

  const readMatrix = async (id: string): Promise<Matrix> => {
    const unit = blockOf.get(id);
    if (unit !== heldUnit) held.clear();
    heldUnit = unit;
    const known = held.get(id) ?? (await matrices.at(id, codec));
    held.set(id, known);
    return known;
  };
  return {
    spec: source.spec,
    label: source.label,
    readMatrix,
    readRows: async (id, from, to) => matrixRows(await readMatrix(id), from, to),
    readVector: (id) => source.readVector(id),
    close: async () => held.clear(),
  };
}
