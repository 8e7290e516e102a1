import type { Maths } from "../maths/maths.ts";
import type { DenseMatrix } from "../model/weight-source.ts";
import { dampedGram, type QuantizerInput } from "../quantization/quantizer-input.ts";
import { placesIn } from "./cut.ts";

/** Of the columns that are kept in hand this share is gone when the rest is worked out anew. */
const GONE_SHARE = 1 / 8;
/** In the place of a group: whichever costs least. */
const CHEAPEST = -1;

/**
 * Groups of columns taken out of a matrix W one after another, each time with the best repair of the columns that stay
 * (Optimal Brain Surgeon for groups): the W' that minimises tr((W - W') H (W - W')^T), H = gram + damping. In f64; the
 * same numbers by all maths.
 */
export class Removal {
  /**
   * Sum of what the groups that are gone have cost, the damping's share left out: mean squared error of an output,
   * summed over the rows.
   */
  error = 0;
  private readonly maths: Maths;
  private readonly input: QuantizerInput;
  private readonly rows: number;
  private readonly size: number;
  /** Groups that are left, ascending, by their numbers in the whole matrix. */
  private groups: readonly number[];
  /** W transposed, [columns of the groups, rows]: a column's numbers lie together. */
  private weights: Float64Array;
  /** Upper factor of the inverse of H among these columns, rows and columns in `order`; null: not worked out yet. */
  private factor: Float64Array | null;
  private order: Int32Array;

  /** `input`: of the matrix's columns, with its factor; `size`: columns of a group, a divisor of the columns. */
  constructor(maths: Maths, input: QuantizerInput, { rows, cols, data }: DenseMatrix, size: number) {
    if (!input.factor) throw new Error("removal: expected the factor of the inputs, found none");
    this.maths = maths;
    this.input = input;
    this.rows = rows;
    this.size = size;
    this.groups = Array.from({ length: cols / size }, (_, group) => group);
    this.weights = new Float64Array(rows * cols);
    for (let row = 0; row < rows; row++)
      for (let col = 0; col < cols; col++) this.weights[col * rows + row] = data[row * cols + col];
    this.factor = input.factor;
    this.order = input.order;
  }

  /** Groups that are left, ascending. */
  get left(): readonly number[] {
    return this.groups;
  }

  /**
   * Takes the groups out that cost least, the first of equals, until so many are left. Throws a plain Error where none
   * has a finite cost.
   */
  async keepOnly(count: number): Promise<void> {
    while (this.groups.length > count) {
      const some = Math.max(1, Math.floor(GONE_SHARE * this.groups.length));
      await this.take(new Int32Array(Math.min(some, this.groups.length - count)).fill(CHEAPEST));
    }
  }

  /** Takes these groups out, by their numbers in the whole matrix. */
  async takeThese(groups: readonly number[]): Promise<void> {
    for (let left = groups; left.length > 0; ) {
      const some = left.slice(0, Math.max(1, Math.floor(GONE_SHARE * this.groups.length)));
      await this.take(Int32Array.from(some, (group) => this.groups.indexOf(group)));
      left = left.slice(some.length);
    }
  }

  /** The repaired columns of the groups that are left. */
  matrix(): DenseMatrix {
    const { rows, weights } = this;
    const cols = this.groups.length * this.size;
    const data = new Float32Array(rows * cols);
    for (let col = 0; col < cols; col++)
      for (let row = 0; row < rows; row++) data[row * cols + col] = weights[col * rows + row];
    return { kind: "dense", rows, cols, data };
  }

  /** Takes some groups out, by their places among those that are left or {@link CHEAPEST}. */
  private async take(taken: Int32Array): Promise<void> {
    const { rows, size, weights, input, order } = this;
    const costs = new Float64Array(taken.length);
    const factor = this.factor ?? (await this.factorOfRest());
    await this.maths.takeGroups({ weights, rows, size, factor, order, damping: input.damping, taken, costs });
    if (taken.includes(CHEAPEST)) throw new Error("removal: expected a group with a finite cost, found none");
    for (const cost of costs) this.error += Math.max(0, cost);
    this.letGo(new Set(taken));
  }

  /** Lets go of what is gone: of the columns that are left C is the inverse of their own part of H. */
  private letGo(gone: ReadonlySet<number>): void {
    const { rows, size } = this;
    const kept = [...this.groups.keys()].filter((place) => !gone.has(place));
    const weights = new Float64Array(kept.length * size * rows);
    for (const [to, place] of kept.entries())
      weights.set(this.weights.subarray(place * size * rows, (place + 1) * size * rows), to * size * rows);
    this.groups = kept.map((place) => this.groups[place]);
    this.weights = weights;
    this.factor = null;
    this.order = Int32Array.from({ length: kept.length * size }, (_, col) => col);
  }

  private async factorOfRest(): Promise<Float64Array> {
    const columns = placesIn(this.groups, this.size);
    const factor = dampedGram(this.input, columns);
    if (await this.maths.inverseUpperFactor(factor, columns.length)) return factor;
    throw new Error("removal: expected a positive definite part of a positive definite matrix, found another");
  }
}
