import type { Maths } from "../maths/maths.ts";
import type { DenseMatrix } from "../model/weight-source.ts";
import { dampedGram, type QuantizerInput } from "../quantization/quantizer-input.ts";
import { placesIn } from "./cut.ts";
import { InverseColumns } from "./inverse-columns.ts";

/** Of the columns that are kept in hand this share is gone when the rest is worked out anew. */
const GONE_SHARE = 1 / 8;

/**
 * Groups of columns taken out of a matrix W one after another, the cheapest first, each time with the best repair of
 * the columns that stay (Optimal Brain Surgeon for groups): the W' that minimises tr((W - W') H (W - W')^T), H = gram +
 * damping. With C = H^-1 among the columns that are left, a group g costs tr(W_g C_gg^-1 W_g^T), and taking it out is
 * elimination: W -= W_g C_gg^-1 C_g, C -= C_:g C_gg^-1 C_g. Of C only the squares C_gg are kept up to date; a column is
 * worked out from H's factor when it goes. In f64; the same numbers by all maths.
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
  /** Groups in hand, by their numbers in the whole matrix. */
  private groups: readonly number[];
  /** W transposed, [columns in hand, rows]: a column's numbers lie together. */
  private weights: Float64Array;
  /** Sum of squares of each column in hand. */
  private norms: Float64Array;
  private inverse: InverseColumns;
  /** C_gg of each group in hand, [groups, size, size]. */
  private squares: Float64Array;
  /** Of the groups in hand, by their place there. */
  private readonly gone = new Set<number>();

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
    this.norms = sumsOfSquares(this.weights, rows);
    this.inverse = new InverseColumns(input.factor, input.order);
    this.squares = this.inverse.squares(size);
  }

  /** Groups that are left, ascending. */
  get left(): number[] {
    return this.groups.filter((_, place) => !this.gone.has(place));
  }

  /** Takes the group out that costs least, the first of equals. Throws a plain Error where none is left. */
  async takeOne(): Promise<void> {
    let least = Number.POSITIVE_INFINITY;
    let chosen = -1;
    for (let place = 0; place < this.groups.length; place++) {
      if (this.gone.has(place)) continue;
      const cost = this.costOf(place);
      if (cost < least) [least, chosen] = [cost, place];
    }
    if (chosen < 0) throw new Error("removal: expected a group with a finite cost, found none");
    this.error += Math.max(0, least);
    for (let i = 0; i < this.size; i++) this.eliminate(chosen * this.size + i);
    this.gone.add(chosen);
    if (this.gone.size >= GONE_SHARE * this.groups.length) await this.letGo();
  }

  /** The repaired columns of the groups that are left. */
  matrix(): DenseMatrix {
    const { rows, weights } = this;
    const columns = this.columnsLeft();
    const data = new Float32Array(rows * columns.length);
    for (const [to, col] of columns.entries())
      for (let row = 0; row < rows; row++) data[row * columns.length + to] = weights[col * rows + row];
    return { kind: "dense", rows, cols: columns.length, data };
  }

  /**
   * tr(W_g (C_gg^-1 - damping) W_g^T): C_gg^-1 is what the inputs of g are beside the others', and the damping. Inputs
   * that are always 0 cost nothing.
   */
  private costOf(place: number): number {
    const { size, norms, squares, input } = this;
    if (size === 1) return norms[place] * (1 / squares[place] - input.damping);
    let sum = 0;
    for (let col = place * size; col < (place + 1) * size; col++) sum += norms[col];
    return this.solvedSquares(place) - input.damping * sum;
  }

  /** tr(W_g C_gg^-1 W_g^T): with C_gg = L L^T the sum of the squares of L^-1 W_g^T. */
  private solvedSquares(place: number): number {
    const { size, rows, weights } = this;
    const lower = this.squares.slice(place * size * size, (place + 1) * size * size);
    const solved = weights.slice(place * size * rows, (place + 1) * size * rows);
    let sum = 0;
    for (let i = 0; i < size; i++) {
      for (let p = 0; p <= i; p++) {
        let value = lower[i * size + p];
        for (let q = 0; q < p; q++) value -= lower[i * size + q] * lower[p * size + q];
        lower[i * size + p] = p === i ? Math.sqrt(value) : value / lower[p * size + p];
      }
      for (let p = 0; p < i; p++) subtract(solved, i * rows, lower[i * size + p], solved, p * rows, rows);
      for (let at = i * rows; at < (i + 1) * rows; at++) {
        solved[at] /= lower[i * size + i];
        sum += solved[at] ** 2;
      }
    }
    return sum;
  }

  /** Takes one column in hand out of W and of C. */
  private eliminate(col: number): void {
    const { rows, size, weights, squares, norms } = this;
    const column = this.inverse.take(col);
    const pivot = column[col];
    const scaled = weights.slice(col * rows, (col + 1) * rows).map((weight) => weight / pivot);
    for (let k = 0; k < column.length; k++) {
      const place = Math.floor(k / size);
      if (this.gone.has(place)) continue;
      norms[k] = subtract(weights, k * rows, column[k], scaled, 0, rows);
      for (let q = 0; q < size; q++) squares[k * size + q] -= (column[k] / pivot) * column[place * size + q];
    }
  }

  /** Lets go of what is gone: of the columns that are left C is the inverse of their own part of H. */
  private async letGo(): Promise<void> {
    const { rows, size, input } = this;
    const columns = this.columnsLeft();
    const weights = new Float64Array(columns.length * rows);
    for (const [to, col] of columns.entries())
      weights.set(this.weights.subarray(col * rows, (col + 1) * rows), to * rows);
    this.groups = this.left;
    this.gone.clear();
    this.weights = weights;
    this.norms = sumsOfSquares(weights, rows);
    const factor = dampedGram(input, placesIn(this.groups, size));
    if (!(await this.maths.inverseUpperFactor(factor, columns.length))) {
      throw new Error("removal: expected a positive definite part of a positive definite matrix, found another");
    }
    this.inverse = new InverseColumns(factor, Int32Array.from(columns.keys()));
    this.squares = this.inverse.squares(size);
  }

  /** Columns in hand that are left. */
  private columnsLeft(): number[] {
    const places = [...this.groups.keys()].filter((place) => !this.gone.has(place));
    return placesIn(places, this.size);
  }
}

/** Sum of squares of each run of `length` numbers. */
function sumsOfSquares(values: Float64Array, length: number): Float64Array {
  const sums = new Float64Array(values.length / length);
  for (let i = 0; i < values.length; i++) sums[Math.floor(i / length)] += values[i] ** 2;
  return sums;
}

/** to -= factor * from, `count` numbers each from their places on; gives the sum of their squares. */
function subtract(
  to: Float64Array,
  toAt: number,
  factor: number,
  from: Float64Array,
  fromAt: number,
  count: number,
): number {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const value = to[toAt + i] - factor * from[fromAt + i];
    to[toAt + i] = value;
    sum += value * value;
  }
  return sum;
}
