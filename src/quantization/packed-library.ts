import { denseMatrix, matrixRows, type PackedMatrix, type WeightSource } from "../model/weight-source.ts";
import type { NativeEngine } from "../native/addon.ts";
import { packMatrix } from "./overlay.ts";
import { packerOf } from "./packer.ts";
import type { Quantizer } from "./quantizer.ts";

/**
 * Packed matrices of one checkpoint, kept in memory: each (matrix, codec) is quantized once for any number of plans.
 */
export interface PackedLibrary {
  /** The checkpoint under a choice of codecs (matrix id -> codec id), as an artifact of that plan would hold it. */
  under(codecs: ReadonlyMap<string, string>): WeightSource;
}

/** An empty library over a source of dense weights, which stays the caller's to close. */
export function createPackedLibrary(
  source: WeightSource,
  quantizer: Quantizer,
  engine?: NativeEngine | null,
): PackedLibrary {
  const packer = packerOf(quantizer, engine);
  const packed = new Map<string, Promise<PackedMatrix>>();

  async function pack(id: string, codec: string): Promise<PackedMatrix> {
    return packMatrix(id, denseMatrix(await source.readMatrix(id)), codec, packer);
  }

  function matrixOf(id: string, codecs: ReadonlyMap<string, string>): Promise<PackedMatrix> {
    const codec = codecs.get(id);
    if (codec === undefined) throw new Error(`matrix ${id} has no codec`);
    const key = `${codec} ${id}`;
    const known = packed.get(key) ?? pack(id, codec);
    packed.set(key, known);
    return known;
  }

  return {
    under: (codecs) => ({
      spec: source.spec,
      label: source.label,
      readMatrix: (id) => matrixOf(id, codecs),
      async readRows(id, from, to) {
        return matrixRows(await matrixOf(id, codecs), from, to);
      },
      readVector: (id) => source.readVector(id),
      close: async () => undefined,
    }),
  };
}
