import type { DenseMatrix, WeightSource } from "../../src/model/weight-source.ts";
import { quantizedOverlay } from "../../src/quantization/overlay.ts";

/** A source whose matrices are multiplied by the factor that each id is given; others stay. */
export function scaledSource(source: WeightSource, factors: Readonly<Record<string, number>>): WeightSource {
  return quantizedOverlay(source, (id, matrix: DenseMatrix) => {
    const factor = factors[id];
    return factor === undefined ? null : { ...matrix, data: matrix.data.map((weight) => weight * factor) };
  });
}
