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

/** Second moments of a matrix's inputs and of what its outputs lack, over the same rows. */
export class LackSum {
  private readonly maths: Maths;
  private readonly cols: number;
  private readonly rows: number;
  private readonly gram: Float32Array;
  private tokens = 0;

  /** Of a matrix [rows, cols]. */
  constructor(maths: Maths, rows: number, cols: number) {
    this.maths = maths;
    this.rows = rows;
    this.cols = cols;
    this.gram = new Float32Array((cols + rows) ** 2);
  }

  /** Adds some tokens: inputs [tokens, cols], and what their outputs lack, [tokens, rows]. */
  async add(inputs: Float32Array, lacking: Float32Array): Promise<void> {
    const { rows, cols, gram } = this;
    const tokens = lacking.length / rows;
    const joint = new Float32Array(tokens * (cols + rows));
    for (let token = 0; token < tokens; token++) {
      joint.set(inputs.subarray(token * cols, (token + 1) * cols), token * (cols + rows));
      joint.set(lacking.subarray(token * rows, (token + 1) * rows), token * (cols + rows) + cols);
    }
    await this.maths.accumulateGram(joint, tokens, cols + rows, 1, gram);
    this.tokens += tokens;
  }

  /**
   * The matrix with the least squares of what is lacking put into it. What is lacking is as if it had inputs of its
   * own, columns of an identity beside the matrix; taking these out with repair (Removal) is the least-squares answer
   * for the columns that stay, damped as all repairs are. Throws UserError as `prepareInput`, labelled `label`.
   */
  async repaired({ data }: DenseMatrix, label: string): Promise<DenseMatrix> {
    const { maths, rows, cols } = this;
    const all = cols + rows;
    const unit = this.scaled();
    const wide = new Float32Array(rows * all);
    for (let row = 0; row < rows; row++) {
      wide.set(data.subarray(row * cols, (row + 1) * cols), row * all);
      wide[row * all + cols + row] = unit;
    }
    const input = await prepareInput(maths, { cols: all, gram: this.gram }, "factor", label);
    if (!input) throw new Error(`${label}: expected inputs prepared, found none`);
    const removal = new Removal(maths, input, { kind: "dense", rows, cols: all, data: wide }, 1);
    await removal.takeThese(Array.from({ length: rows }, (_, row) => cols + row));
    return removal.matrix();
  }

  /** Sums become means, and what is lacking is brought to the inputs' size; gives what was one. */
  private scaled(): number {
    const { gram, cols, rows, tokens } = this;
    const all = cols + rows;
    const meanOf = (from: number, to: number) => {
      let sum = 0;
      for (let i = from; i < to; i++) sum += gram[i * (all + 1)];
      return sum / (to - from);
    };
    const [own, lacking] = [meanOf(0, cols), meanOf(cols, all)];
    const unit = own > 0 && lacking > 0 ? Math.sqrt(lacking / own) : 1;
    for (let i = 0; i < all; i++) {
      const ofRow = i < cols ? 1 : unit;
      for (let j = 0; j < all; j++) gram[i * all + j] /= tokens * ofRow * (j < cols ? 1 : unit);
    }
    return unit;
  }
}
