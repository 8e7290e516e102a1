import { codeOf, type LevelForm, levelOf } from "./level-table.ts";
import { inverseOf } from "./nearest-level.ts";

/** What GPTQ quantizes, and by what; groups go by original column numbers. */
export interface GptqOptions {
  /** [rows, cols]; becomes the quantized values */
  readonly w: Float32Array;
  readonly rows: number;
  readonly cols: number;
  /** Upper factor of the inverse Hessian (h^-1 = u^T u), [cols, cols], rows and columns in `order` */
  readonly u: Float64Array;
  readonly form: LevelForm;
  /** Columns that share a scale; 0: a whole row */
  readonly group: number;
  /** [rows, groups], as they are stored; chosen before and kept */
  readonly scales: Float32Array;
  /** [rows, groups]; null unless asymmetric */
  readonly minima: Float32Array | null;
  /** The column quantized i-th: a permutation of 0 … cols - 1 */
  readonly order: Int32Array;
  /** [rows, cols] */
  readonly codes: Uint8Array;
}

/**
 * GPTQ's column loop (papers.md): quantizes w column by column and takes each column's error, weighted by the inverse
 * Hessian, off the columns that follow. Plain twin of the addon's `gptq`, and the same bytes: there the updates run in
 * blocks of columns, which changes no sum.
 */
export function gptqUpdate(options: GptqOptions): void {
  const { w, rows, cols, order, u } = options;
  const row = new Float64Array(cols);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < cols; i++) row[i] = w[r * cols + order[i]];
    for (let i = 0; i < cols; i++) {
      const error = (row[i] - quantizeWeight(options, r, order[i], row[i])) / u[i * cols + i];
      for (let j = i + 1; j < cols; j++) row[j] -= error * u[i * cols + j];
    }
  }
}

/** Stores the code nearest to `x` for that row and column; returns the value it stands for. */
function quantizeWeight(options: GptqOptions, row: number, col: number, x: number): number {
  const { w, cols, form, group, scales, minima, codes } = options;
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
