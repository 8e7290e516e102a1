import type { Maths } from "../maths/maths.ts";
import type { BlockSpec } from "../model/decoder-spec.ts";
import type { BlockRole } from "../model/matrix-id.ts";
import type { DenseMatrix } from "../model/weight-source.ts";
import { prepareInput } from "../quantization/quantizer-input.ts";
import { Removal } from "./removal.ts";

/**
 * The matrix by which a block as cut can make up for what is not there any more: the last that writes to the residual
 * stream. Null where nothing is left of the block, or where a norm follows that matrix.
 */
export function lastRoleOf({ attention, attentionNorms, mlp, mlpNorms }: BlockSpec): BlockRole | null {
  if (mlp) return mlpNorms.post ? null : "mlp.down";
  return attention && !attentionNorms.post ? "attn.o" : null;
}

/** Root of the mean square. */
function sizeOf(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum / values.length);
}

/**
 * What is added to the diagonal of the inputs' second moments, over its mean: few tokens say little of many inputs, and
 * least squares that fit them well make up for less on others.
 */
const DAMPINGS = [3, 30];
/** Of each pass these are not fitted to, but chosen by. */
const JUDGING_SHARE = 1 / 4;

/** Second moments of a matrix's inputs and of what its outputs lack, over the same rows. */
export class LackSum {
  private readonly maths: Maths;
  private readonly cols: number;
  private readonly rows: number;
  private readonly fitted: Float32Array;
  private readonly judging: Float32Array;

  /** Of a matrix [rows, cols]. */
  constructor(maths: Maths, rows: number, cols: number) {
    this.maths = maths;
    this.rows = rows;
    this.cols = cols;
    this.fitted = new Float32Array((cols + rows) ** 2);
    this.judging = new Float32Array((cols + rows) ** 2);
  }

  /**
   * Adds the tokens of a pass: inputs [tokens, cols], what their outputs lack, [tokens, rows], and the states that
   * these are a part of, [tokens, rows]. An error counts beside the size of its token's state, as the norms that follow
   * see it: a first token's state may be hundreds of times as large as the others'.
   */
  async add(inputs: Float32Array, lacking: Float32Array, states: Float32Array): Promise<void> {
    const { rows, cols } = this;
    const tokens = lacking.length / rows;
    const all = cols + rows;
    const joint = new Float32Array(tokens * all);
    for (let token = 0; token < tokens; token++) {
      const share = 1 / (sizeOf(states.subarray(token * rows, (token + 1) * rows)) || 1);
      for (let i = 0; i < cols; i++) joint[token * all + i] = share * inputs[token * cols + i];
      for (let i = 0; i < rows; i++) joint[token * all + cols + i] = share * lacking[token * rows + i];
    }
    const first = Math.ceil((1 - JUDGING_SHARE) * tokens);
    await this.maths.accumulateGram(joint.subarray(0, first * all), first, all, 1, this.fitted);
    if (first < tokens)
      await this.maths.accumulateGram(joint.subarray(first * all), tokens - first, all, 1, this.judging);
  }

  /**
   * The matrix with what is lacking put into it, as well as its inputs tell it: least squares, damped as much as is
   * best on the tokens that they have not seen; null where none makes anything better there. What is lacking is as if
   * it had inputs of its own, columns of an identity beside the matrix; taking these out with repair (Removal) is the
   * least-squares answer for the columns that stay. Throws UserError as `prepareInput`, labelled `label`.
   */
  async repaired({ data }: DenseMatrix, label: string): Promise<DenseMatrix | null> {
    const { rows, cols, judging: gram } = this;
    const all = cols + rows;
    const unit = this.unit();
    const beside = (columns: Float32Array, one: number) => {
      const wide = new Float32Array(rows * all);
      for (let row = 0; row < rows; row++) {
        wide.set(columns.subarray(row * cols, (row + 1) * cols), row * all);
        wide[row * all + cols + row] = one;
      }
      return wide;
    };
    const wide = beside(data, 1);
    const errorOf = (values: Float32Array) =>
      this.maths.hessianError({ w: wide, values: beside(values, 0), gram, rows, cols: all });
    let best: { readonly matrix: DenseMatrix | null; readonly error: number } = {
      matrix: null,
      error: await errorOf(data),
    };
    for (const damping of DAMPINGS) {
      const input = await prepareInput(this.maths, { cols: all, gram: this.damped(damping, unit) }, "factor", label);
      if (!input) throw new Error(`${label}: expected inputs prepared, found none`);
      const removal = new Removal(this.maths, input, { kind: "dense", rows, cols: all, data: beside(data, unit) }, 1);
      await removal.takeThese(Array.from({ length: rows }, (_, row) => cols + row));
      const matrix = removal.matrix();
      const error = await errorOf(matrix.data);
      if (error < best.error) best = { matrix, error };
    }
    return best.matrix;
  }

  /** What brings what is lacking to the inputs' size. */
  private unit(): number {
    const { cols, rows } = this;
    const [own, lacking] = [this.meanOf(0, cols), this.meanOf(cols, cols + rows)];
    return own > 0 && lacking > 0 ? Math.sqrt(lacking / own) : 1;
  }

  /** The moments that are fitted to, with what is lacking brought to the inputs' size, and these damped. */
  private damped(damping: number, unit: number): Float32Array {
    const { cols, fitted } = this;
    const all = cols + this.rows;
    const added = damping * this.meanOf(0, cols);
    const gram = fitted.slice();
    for (let i = 0; i < all; i++)
      for (let j = 0; j < all; j++) gram[i * all + j] /= (i < cols ? 1 : unit) * (j < cols ? 1 : unit);
    for (let i = 0; i < cols; i++) gram[i * (all + 1)] += added;
    return gram;
  }

  private meanOf(from: number, to: number): number {
    const { cols, rows, fitted } = this;
    let sum = 0;
    for (let i = from; i < to; i++) sum += fitted[i * (cols + rows + 1)];
    return sum / (to - from);
  }
}
