import type { Maths } from "../maths/maths.ts";

/** What the rows of one input of matrices are like, over all calibration tokens. */
export interface InputStatistics {
  readonly cols: number;
  readonly tokens: number;
  /**
   * Mean of x^T x over the tokens, [cols, cols], f32, both triangles: half the Hessian of the mean squared output
   * error.
   */
  readonly gram: Float32Array;
}

/** Sums x^T x / tokens of one input over the passes: f32, in the order of the rows given. */
export class GramSum {
  private readonly cols: number;
  private readonly tokens: number;
  private readonly maths: Maths;
  private readonly gram: Float32Array;
  private seen = 0;

  /** `tokens`: rows that will be given in all. */
  constructor(cols: number, tokens: number, maths: Maths) {
    this.cols = cols;
    this.tokens = tokens;
    this.maths = maths;
    this.gram = new Float32Array(cols * cols);
  }

  /** Adds rows x [rows, cols]; the array is read until the promise resolves. */
  async add(x: Float32Array, rows: number): Promise<void> {
    const { cols, gram } = this;
    this.seen += rows;
    await this.maths.accumulateGram(x, rows, cols, 1 / this.tokens, gram);
  }

  /** The statistics, when all rows have been given. */
  finish(): InputStatistics {
    const { cols, tokens, gram, seen } = this;
    if (seen !== tokens) throw new Error(`statistics: expected ${tokens} rows, found ${seen}`);
    return { cols, tokens, gram };
  }
}
