import { inverseOf } from "../../tensor/rounding.ts";
import { codeOf, type LevelForm, levelForm, levelOf } from "../level-form.ts";
import type { GptqOptions } from "../maths.ts";

/**
 * GPTQ's column loop (arXiv 2210.17323): quantizes w column by column and takes each column's error, weighted by the
 * inverse Hessian, off the columns that follow. Plain twin of the addon's `gptq`, and the same bytes: there the updates
 * run in blocks of columns, which changes no sum.
 */
export function gptqUpdate(options: GptqOptions): void {
  const { w, rows, cols, order, u, bits, levels, minima } = options;
  const form = levelForm(bits, minima !== null, levels);
  const row = new Float64Array(cols);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < cols; i++) row[i] = w[r * cols + order[i]];
    for (let i = 0; i < cols; i++) {
      const error = (row[i] - quantizeWeight(options, form, { row: r, col: order[i] }, row[i])) / u[i * cols + i];
      for (let j = i + 1; j < cols; j++) row[j] -= error * u[i * cols + j];
    }
  }
}

/** Stores the code nearest to `x` for that row and column; returns the value it stands for. */
function quantizeWeight(
  { w, cols, group, scales, minima, codes }: GptqOptions,
  form: LevelForm,
  { row, col }: { readonly row: number; readonly col: number },
  x: number,
): number {
  const groups = group === 0 ? 1 : Math.ceil(cols / group);
  const at = row * groups + (group === 0 ? 0 : Math.floor(col / group));
  const scale = scales[at];
  const code = codeOf(form, (x - (minima ? minima[at] : 0)) * inverseOf(scale));
  const product = scale * levelOf(form, code);
  const value = minima ? product + minima[at] : product;
  codes[row * cols + col] = code;
  w[row * cols + col] = value;
  return value;
}
