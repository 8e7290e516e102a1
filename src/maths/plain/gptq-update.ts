import type { Kept } from "../../codecs/codec.ts";
import { inverseOf } from "../../tensor/rounding.ts";
import { codeOf, type LevelForm, levelForm, levelOf } from "../level-form.ts";
import type { GptqOptions } from "../maths.ts";

/**
 * GPTQ's column loop (arXiv 2210.17323): quantizes w column by column and takes each column's error, weighted by the
 * inverse Hessian, off the columns that follow; where only some levels are kept, they are chosen on the way (SparseGPT,
 * arXiv 2301.00774). Plain twin of the addon's `gptq`, and the same bytes: there the updates run in blocks of columns,
 * which changes no sum.
 */
export function gptqUpdate(options: GptqOptions): void {
  const { w, rows, cols, order, u, bits, levels, minima, kept } = options;
  const form = levelForm(bits, minima !== null, levels);
  const row = new Float64Array(cols);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < cols; i++) row[i] = w[r * cols + order[i]];
    let keeps: readonly boolean[] = [];
    for (let i = 0; i < cols; i++) {
      if (kept && i % kept.of === 0) keeps = keptOf(kept, row, u, i);
      const place = { row: r, col: order[i] };
      const value =
        kept && !keeps[i % kept.of] ? dropWeight(options, place) : quantizeWeight(options, form, place, row[i]);
      const error = (row[i] - value) / u[i * cols + i];
      for (let j = i + 1; j < cols; j++) row[j] -= error * u[i * cols + j];
    }
  }
}

interface Place {
  readonly row: number;
  readonly col: number;
}

/** Which columns of the run from `from` on keep a level: those of the largest w² / u_jj², the first of equals first. */
function keptOf({ count, of }: Kept, row: Float64Array, u: Float64Array, from: number): boolean[] {
  const cols = row.length;
  const scores = Array.from({ length: Math.min(of, cols - from) }, (_, i) => {
    const ratio = row[from + i] / u[(from + i) * (cols + 1)];
    return ratio * ratio;
  });
  return scores.map((own, i) => {
    const before = scores.filter((score, j) => score > own || (score === own && j < i));
    return before.length < count;
  });
}

/** Stores level 0 for that row and column. */
function dropWeight({ w, cols, codes, bits }: GptqOptions, { row, col }: Place): 0 {
  codes[row * cols + col] = 2 ** (bits - 1);
  w[row * cols + col] = 0;
  return 0;
}

/** Stores the code nearest to `x` for that row and column; returns the value it stands for. */
function quantizeWeight(
  { w, cols, group, scales, minima, codes }: GptqOptions,
  form: LevelForm,
  { row, col }: Place,
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
