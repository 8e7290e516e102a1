import type { PackedMatrix, WeightSource } from "../../model/weight-source.ts";

/** Where packed matrices are taken from, each at any of its codecs. */
interface PackedMatrices {
  matrixAt(id: string, codec: string): Promise<PackedMatrix>;
  /** Rows [from, to) in f32. */
  rowsAt(id: string, codec: string, from: number, to: number): Promise<Float32Array>;
  /** A vector that goes with the packed matrices in place of the model's own, or null. */
  vectorAt?(id: string): Promise<Float32Array | null>;
}

/**
 * A model under a choice of codecs (matrix id -> codec): matrices as they are packed, vectors that come
 * with them or else those of `source`, which stays the caller's to close.
 */
export function sourceUnderPlan(
  source: WeightSource,
  codecs: ReadonlyMap<string, string>,
  matrices: PackedMatrices,
): WeightSource {
  const codecFor = (id: string): string => {
    const codec = codecs.get(id);
    if (codec === undefined) throw new Error(`matrix ${id} has no codec`);
    return codec;
  };
  return {
    spec: source.spec,
    label: source.label,
    readMatrix: async (id) => matrices.matrixAt(id, codecFor(id)),
    readRows: async (id, from, to) => matrices.rowsAt(id, codecFor(id), from, to),
    readVector: async (id) => (await matrices.vectorAt?.(id)) ?? source.readVector(id),
    close: async () => undefined,
  };
}
