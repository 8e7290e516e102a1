import { levelForm } from "../level-form.ts";
import type { ScaleSearch } from "../maths.ts";
import { fitAsymmetric, snapAsymmetric } from "./asymmetric-search.ts";
import { chooseCodes, type Fit, type SearchGroup, STORED } from "./search-group.ts";
import { fitSymmetric, snapSymmetric } from "./symmetric-search.ts";

/**
 * The scales (and minima) that leave the least weighted squared error in each group, and the nearest codes under them:
 * fitted, or with `rowScales` the best whole multiples around those that are there. Returns the first row whose weights
 * no f16 scale reaches, or -1. Plain twin of the addon's `searchScales`, and the same bytes.
 */
export function searchScales(options: ScaleSearch): number {
  const { w, rows, cols, weights, bits, levels, asymmetric, twoLevel, rowScales, scales, minima, codes } = options;
  const form = levelForm(bits, asymmetric, levels);
  const shared = { x: w, weights, form, stored: twoLevel ? STORED.f32 : STORED.f16 };
  const groupCols = options.group === 0 ? cols : options.group;
  const groups = Math.ceil(cols / groupCols);
  for (let row = 0; row < rows; row++) {
    const shift = row * cols;
    for (let g = 0; g < groups; g++) {
      const at = row * groups + g;
      const from = shift + g * groupCols;
      const group: SearchGroup = { ...shared, from, to: Math.min(from + groupCols, shift + cols), shift };
      const fit = rowScales ? snapped(options, group, { row, at }) : fitted(group);
      if (!fit) return row;
      scales[at] = fit.scale;
      if (minima) minima[at] = fit.minimum;
      chooseCodes(group, fit, codes);
    }
  }
  return -1;
}

function fitted(group: SearchGroup): Fit | null {
  return group.form.asymmetric ? fitAsymmetric(group) : fitSymmetric(group);
}

/** The best multiples of the row's scales around the group's wanted ones. */
function snapped(
  { scales, minima, rowScales, rowMinima }: ScaleSearch,
  group: SearchGroup,
  { row, at }: { readonly row: number; readonly at: number },
): Fit | null {
  const rowScale = rowScales ? rowScales[row] : 0;
  return minima && rowMinima
    ? snapAsymmetric(group, [scales[at], minima[at]], [rowScale, rowMinima[row]])
    : snapSymmetric(group, scales[at], rowScale);
}
