import type { Codec } from "../codecs/codec.ts";
import type { IntegerNumbers } from "../codecs/integer-numbers.ts";
import { snapScales } from "../codecs/two-level.ts";
import type { Maths } from "../maths/maths.ts";
import type { DenseMatrix } from "../model/weight-source.ts";
import type { QuantizeOptions } from "./quantizer.ts";
import { outOfRange } from "./weight-checks.ts";

/**
 * Scales (and minima) that leave the least weighted squared error in each group, and the nearest codes under them;
 * `weights` [cols], positive, say how much the error of a column counts. Two-level scales: first the best scale of each
 * group, then the row's scale for these, then the best whole multiple of it around each. The codec is an integer one
 * and the weights of the matrix are finite. Throws UserError WEIGHTS_RANGE where f16 reaches no scale.
 */
export async function searchScales(
  maths: Maths,
  matrix: DenseMatrix,
  codec: Codec,
  weights: Float32Array,
  options: QuantizeOptions,
): Promise<IntegerNumbers> {
  const { rows, cols, data } = matrix;
  const asymmetric = codec.scheme === "asymmetric";
  const twoLevel = codec.scaleKind === "two-level";
  const search = async (into: IntegerNumbers): Promise<IntegerNumbers> => {
    const badRow = await maths.searchScales({
      ...into,
      ...levelsOf(codec),
      ...{ w: data, rows, cols, weights, asymmetric, twoLevel },
    });
    if (badRow >= 0) throw outOfRange(badRow, codec, options);
    return into;
  };
  const wanted = await search(emptyNumbers(matrix, codec));
  return twoLevel ? search(withRowScales(wanted, codec)) : wanted;
}

/** The same under scales (and minima) of any size, as no codec stores them: what the levels alone lose. */
export async function searchFreely(
  maths: Maths,
  matrix: DenseMatrix,
  codec: Codec,
  weights: Float32Array,
): Promise<IntegerNumbers> {
  const { rows, cols, data: w } = matrix;
  const into = emptyNumbers(matrix, codec);
  const asymmetric = codec.scheme === "asymmetric";
  // Wanted scales of two levels are fitted in f32, before they are snapped.
  await maths.searchScales({ ...into, ...levelsOf(codec), w, rows, cols, weights, asymmetric, twoLevel: true });
  return into;
}

/** The levels of an integer codec, as the maths take them. */
export function levelsOf({ bits, scheme, levels, group }: Codec) {
  return { bits, levels: scheme === "table" ? levels : null, group: group ?? 0 };
}

function emptyNumbers({ rows, cols }: DenseMatrix, codec: Codec): IntegerNumbers {
  const groups = codec.groupsPerRow(cols);
  return {
    kind: "integer",
    rows,
    cols,
    codes: new Uint8Array(rows * cols),
    scales: new Float32Array(rows * groups),
    minima: codec.scheme === "asymmetric" ? new Float32Array(rows * groups) : null,
    rowScales: null,
    rowMinima: null,
  };
}

/** Wanted scales with the row scales that they are to be multiples of. */
function withRowScales(wanted: IntegerNumbers, codec: Codec): IntegerNumbers {
  const groups = codec.groupsPerRow(wanted.cols);
  const rowMinima = wanted.minima ? snapScales(codec, wanted.minima, groups).rowScales : null;
  return {
    ...wanted,
    rowScales: snapScales(codec, wanted.scales, groups).rowScales,
    rowMinima,
  };
}
