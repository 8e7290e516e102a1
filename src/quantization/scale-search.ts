import type { Codec } from "../codecs/codec.ts";
import type { IntegerNumbers } from "../codecs/integer-numbers.ts";
import { snapScales } from "../codecs/two-level.ts";
import type { DenseMatrix } from "../model/weight-source.ts";
import type { NativeEngine } from "../native/addon.ts";
import { fitAsymmetric, snapAsymmetric } from "./asymmetric-search.ts";
import { type LevelForm, levelForm } from "./level-table.ts";
import type { QuantizeOptions } from "./quantizer.ts";
import { chooseCodes, type Fit, type SearchGroup, STORED } from "./search-group.ts";
import { fitSymmetric, snapSymmetric } from "./symmetric-search.ts";
import { outOfRange } from "./weight-checks.ts";

/** The levels of an integer codec, as searches use them. */
export function formOf({ bits, scheme, levels }: Codec): LevelForm {
  return levelForm(bits, scheme === "asymmetric", scheme === "table" ? levels : null);
}

/**
 * Scales (and minima) that leave the least weighted squared error in each group, and the nearest codes under them; `weights`
 * [cols], positive, say how much the error of a column counts. Two-level scales: first the best scale of each group, then the
 * row's scale for these, then the best whole multiple of it around each. The codec is an integer one and the weights of the
 * matrix are finite. Throws UserError WEIGHTS_RANGE where f16 reaches no scale.
 */
export function searchScales(
  matrix: DenseMatrix,
  codec: Codec,
  weights: Float32Array,
  options: QuantizeOptions,
): IntegerNumbers {
  const numbers = emptyNumbers(matrix, codec);
  const form = formOf(codec);
  const twoLevel = codec.scaleKind === "two-level";
  const stored = twoLevel ? STORED.f32 : STORED.f16;
  fitGroups(matrix, codec, numbers, (group) => {
    const searched = { ...group, weights, form, stored };
    const fit = form.asymmetric ? fitAsymmetric(searched) : fitSymmetric(searched);
    if (!fit) throw outOfRange(group.row, codec, options);
    return { group: searched, fit };
  });
  if (!twoLevel) return numbers;
  const snapped = withRowScales(numbers, codec);
  const { scales, minima, rowScales, rowMinima } = snapped;
  fitGroups(matrix, codec, snapped, (group) => {
    const searched = { ...group, weights, form, stored };
    const rowScale = rowScales ? rowScales[group.row] : 0;
    const fit =
      minima && rowMinima
        ? snapAsymmetric(searched, [scales[group.at], minima[group.at]], [rowScale, rowMinima[group.row]])
        : snapSymmetric(searched, scales[group.at], rowScale);
    if (!fit) throw outOfRange(group.row, codec, options);
    return { group: searched, fit };
  });
  return snapped;
}

/** searchScales on the addon's threads: the same numbers and the same errors. */
export async function searchScalesOn(
  engine: NativeEngine,
  matrix: DenseMatrix,
  codec: Codec,
  weights: Float32Array,
  options: QuantizeOptions,
): Promise<IntegerNumbers> {
  const numbers = emptyNumbers(matrix, codec);
  const { rows, cols, data } = matrix;
  const call = {
    w: data,
    rows,
    cols,
    weights,
    bits: codec.bits,
    group: codec.group ?? 0,
    asymmetric: codec.scheme === "asymmetric",
    levels: codec.scheme === "table" ? codec.levels : null,
    twoLevel: codec.scaleKind === "two-level",
  };
  const search = async (into: IntegerNumbers): Promise<IntegerNumbers> => {
    const badRow = await engine.offline.searchScales({ ...call, ...into });
    if (badRow >= 0) throw outOfRange(badRow, codec, options);
    return into;
  };
  const wanted = await search(numbers);
  return call.twoLevel ? search(withRowScales(wanted, codec)) : wanted;
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

/** A group's place: `at` in the scales. */
type Place = Pick<SearchGroup, "x" | "from" | "to" | "shift"> & { readonly row: number; readonly at: number };

/** Fits every group, and stores scale, minimum and codes. */
function fitGroups(
  { rows, cols, data }: DenseMatrix,
  codec: Codec,
  { scales, minima, codes }: IntegerNumbers,
  fitOf: (place: Place) => { group: SearchGroup; fit: Fit },
): void {
  const groups = codec.groupsPerRow(cols);
  const groupCols = codec.group ?? cols;
  for (let row = 0; row < rows; row++) {
    for (let g = 0; g < groups; g++) {
      const at = row * groups + g;
      const from = row * cols + g * groupCols;
      const to = Math.min(from + groupCols, (row + 1) * cols);
      const { group, fit } = fitOf({ x: data, from, to, shift: row * cols, row, at });
      scales[at] = fit.scale;
      if (minima) minima[at] = fit.minimum;
      chooseCodes(group, fit, codes);
    }
  }
}
