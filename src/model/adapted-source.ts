import { type LowRankPart, sumParts } from "./low-rank.ts";
import { isPlaced, type WeightSource } from "./weight-source.ts";

/** A model with an adapter beside its matrices, on top of the one that it may have; the source stays open. */
export function adaptedSource(source: WeightSource, parts: readonly LowRankPart[]): WeightSource {
  return {
    spec: source.spec,
    label: source.label,
    readMatrix: (id) => source.readMatrix(id),
    readRows: (id, from, to) => source.readRows(id, from, to),
    ...(isPlaced(source) && { placeOf: (id: string) => source.placeOf(id) }),
    readVector: (id) => source.readVector(id),
    readAdditions: async () => sumParts((await source.readAdditions?.()) ?? [], parts),
    assertIntact: () => source.assertIntact?.(),
    close: async () => undefined,
  };
}
