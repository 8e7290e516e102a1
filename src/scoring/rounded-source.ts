import { matricesOf } from "../model/decoder-spec.ts";
import { denseMatrix, type Matrix, matrixRows, type WeightSource } from "../model/weight-source.ts";
import type { Rounding } from "./scorer.ts";

/**
 * The source with every matrix rounded when it is read. The rounded matrices of one block (or the embedding, or the
 * head) are kept until another is asked for, so that an executor that reads rows or reads again does not round again.
 */
export function roundedSource(source: WeightSource, rounding: Rounding): WeightSource {
  const blockOf = new Map(matricesOf(source.spec).map((matrix) => [matrix.id, matrix.block ?? matrix.id]));
  const held = new Map<string, Matrix>();
  let heldUnit: number | string | undefined;

  const readMatrix = async (id: string): Promise<Matrix> => {
    const unit = blockOf.get(id);
    if (unit !== heldUnit) held.clear();
    heldUnit = unit;
    const known = held.get(id);
    if (known) return known;
    const original = await source.readMatrix(id);
    const rounded = (await rounding(id, denseMatrix(original))) ?? original;
    held.set(id, rounded);
    return rounded;
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
