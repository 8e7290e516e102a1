import { type LevelForm, levelForm } from "../level-form.ts";
import type { RefineOptions } from "../maths.ts";
import { BLOCK_COLS, codeValue, lowerBlock, type RefineBlock, type RowBlock } from "./refine-block.ts";

/** Columns taken at a time where a row is one group. */
const PART_COLS = 64;

/**
 * Moves codes, scales and minima of a quantized matrix to lower (values - w) H (values - w)^T of each row, group of
 * columns after group; the error never rises. Plain twin of the addon's `refine`, and the same bytes.
 */
export function refine(options: RefineOptions): void {
  const { rows, cols, group, passes, bits, levels, minima } = options;
  if (passes === 0) return;
  const wholeGroup = group > 0 && group <= BLOCK_COLS;
  const width = wholeGroup ? group : PART_COLS;
  const form = levelForm(bits, minima !== null, levels);
  const starts = Array.from({ length: Math.ceil(cols / width) }, (_, i) => i * width);
  const blocks = starts.map((from) => blockOf({ ...options, form }, from, Math.min(cols, from + width), wholeGroup));
  for (let row = 0; row < rows; row++) {
    const gradient = new Float64Array(cols);
    for (const block of blocks) startBlock(options, block, row, gradient);
    for (let pass = 0; pass < passes; pass++) {
      for (const block of blocks) refineBlock(options, block, row, gradient);
    }
  }
}

/** A block and its first column. */
interface Part extends RefineBlock {
  readonly from: number;
}

function blockOf(
  { gram, cols, damping, form, zerosStay = false }: RefineOptions & { readonly form: LevelForm },
  from: number,
  to: number,
  wholeGroup: boolean,
): Part {
  const n = to - from;
  const h = new Float64Array(n * n);
  const rowSums = new Float64Array(n);
  let total = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      h[i * n + j] = gram[(from + i) * cols + from + j] + (i === j ? damping : 0);
      rowSums[i] += h[i * n + j];
    }
    total += rowSums[i];
  }
  return { form, cols: n, wholeGroup, zerosStay, h, rowSums, total, from };
}

function scaleAt({ cols, group }: RefineOptions, row: number, col: number): number {
  return group === 0 ? row : row * Math.ceil(cols / group) + Math.floor(col / group);
}

function loadRow(options: RefineOptions, block: Part, row: number, gradient: Float64Array): RowBlock {
  const { scales, minima, codes, cols } = options;
  const at = scaleAt(options, row, block.from);
  const start = row * cols + block.from;
  const state: RowBlock = {
    values: new Float64Array(block.cols),
    gradient: gradient.slice(block.from, block.from + block.cols),
    codes: codes.slice(start, start + block.cols),
    scale: scales[at],
    minimum: minima ? minima[at] : 0,
  };
  for (let i = 0; i < block.cols; i++) state.values[i] = codeValue(block.form, state, state.codes[i]);
  return state;
}

/** Takes a block's differences from the weights into the gradient. */
function startBlock(options: RefineOptions, block: Part, row: number, gradient: Float64Array): void {
  const { values } = loadRow(options, block, row, gradient);
  const start = row * options.cols + block.from;
  carryOver(
    options,
    block,
    values.map((value, i) => options.w[start + i] - value),
    gradient,
  );
}

function refineBlock(options: RefineOptions, block: Part, row: number, gradient: Float64Array): void {
  const { rowScales, rowMinima, scales, minima, codes, cols } = options;
  const state = loadRow(options, block, row, gradient);
  const before = state.values.slice();
  const steps = { scale: rowScales ? rowScales[row] : 0, minimum: rowMinima ? rowMinima[row] : 0 };
  if (!lowerBlock(block, state, steps)) return;
  carryOver(
    options,
    block,
    before.map((value, i) => value - state.values[i]),
    gradient,
  );
  codes.set(state.codes, row * cols + block.from);
  if (!block.wholeGroup) return;
  const at = scaleAt(options, row, block.from);
  scales[at] = state.scale;
  if (minima) minima[at] = state.minimum;
}

/** gradient -= steps H: `steps` say by how much the block's values fell. */
function carryOver({ gram, cols, damping }: RefineOptions, block: Part, steps: Float64Array, gradient: Float64Array) {
  for (let i = 0; i < block.cols; i++) {
    const step = steps[i];
    const at = (block.from + i) * cols;
    for (let j = 0; j < cols; j++) {
      gradient[j] -= step * (j === block.from + i ? gram[at + j] + damping : gram[at + j]);
    }
  }
}
