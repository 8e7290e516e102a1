import type { Maths } from "../maths/maths.ts";
import { denseMatrix, matrixRows, type PackedMatrix, type WeightSource } from "../model/weight-source.ts";
import { packMatrix } from "./overlay.ts";
import { packerOf } from "./packer.ts";
import type { Quantizer } from "./quantizer.ts";
import { type PackedMatrices, sourceUnder } from "./source-under.ts";

/**
 * Packed matrices of one checkpoint, kept in memory: each (matrix, codec) is quantized once for any number of plans.
 */
export interface PackedLibrary {
  /** The checkpoint under a choice of codecs (matrix id -> codec id), as an artifact of that plan would hold it. */
  under(codecs: ReadonlyMap<string, string>): WeightSource;
}

/** An empty library over a source of dense weights, which stays the caller's to close. */
export function createPackedLibrary(maths: Maths, source: WeightSource, quantizer: Quantizer): PackedLibrary {
  const packer = packerOf(maths, quantizer);
  const packed = new Map<string, Promise<PackedMatrix>>();

  async function pack(id: string, codec: string): Promise<PackedMatrix> {
    return packMatrix(id, denseMatrix(await source.readMatrix(id)), codec, packer);
  }

  function matrixAt(id: string, codec: string): Promise<PackedMatrix> {
    const key = `${codec} ${id}`;
    const known = packed.get(key) ?? pack(id, codec);
    packed.set(key, known);
    return known;
  }

  const matrices: PackedMatrices = {
    matrixAt,
    rowsAt: async (id, codec, from, to) => matrixRows(await matrixAt(id, codec), from, to),
  };
  return { under: (codecs) => sourceUnder(source, codecs, matrices) };
}
