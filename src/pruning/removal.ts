import type { DenseMatrix } from "../model/weight-source.ts";
import type { QuantizerInput } from "../quantization/quantizer-input.ts";

/**
 * Groups of columns taken out of a matrix W one after another, the cheapest first, each time with the best repair of
 * the columns that stay (Optimal Brain Surgeon for groups): the W' that minimises tr((W - W') H (W - W')^T), H = gram +
 * damping. With C = H^-1 among the columns that are left, a group g costs tr(W_g C_gg^-1 W_g^T), and taking it out is
 * elimination: W -= W_g C_gg^-1 C_g, C -= C_:g C_gg^-1 C_g. Of C only the squares C_gg are kept up to date; a column is
 * worked out from H's factor when it goes. In f64; the same numbers by all maths.
 */
export class Removal {
  private readonly rows: number;
  private readonly cols: number;
  private readonly size: number;
  private readonly damping: number;
  /** W transposed, [cols, rows]: a column's numbers lie together. */
  private readonly weights: Float64Array;
  private readonly inverse: InverseColumns;
  /** C_gg of each group, [groups, size, size]. */
  private readonly squares: Float64Array;
  /** What a cost is worked out in, [size, rows]. */
  private readonly solved: Float64Array;
  private readonly gone = new Set<number>();
  /** Sum of what the groups that are gone have cost, the damping's share left out: the mean squared error of a row's
   * output times the rows. */
  error = 0;

  /** `input`: of the matrix's columns, with its factor; `size`: columns of a group, a divisor of the columns. */
  constructor(input: QuantizerInput, { rows, cols, data }: DenseMatrix, size: number) {
    if (!input.factor) throw new Error("removal: expected the factor of the inputs, found none");
    this.rows = rows;
    this.cols = cols;
    this.size = size;
    this.damping = input.damping;
    this.weights = new Float64Array(rows * cols);
    for (let row = 0; row < rows; row++)
      for (let col = 0; col < cols; col++) this.weights[col * rows + row] = data[row * cols + col];
    this.inverse = new InverseColumns(input.factor, input.order);
    this.squares = this.inverse.squares(size);
    this.solved = new Float64Array(size * rows);
  }

  /** Groups that are left, ascending. */
  get left(): number[] {
    return Array.from({ length: this.cols / this.size }, (_, group) => group).filter((group) => !this.gone.has(group));
  }

  /** Takes the group out that costs least, the first of equals. Throws a plain Error where none is left. */
  takeOne(): void {
    let least = Number.POSITIVE_INFINITY;
    let chosen = -1;
    for (const group of this.left) {
      const cost = this.costOf(group);
      if (cost < least) [least, chosen] = [cost, group];
    }
    if (chosen < 0) throw new Error("removal: expected a group with a finite cost, found none");
    this.error += Math.max(0, least);
    for (let i = 0; i < this.size; i++) this.eliminate(chosen * this.size + i);
    this.gone.add(chosen);
  }

  /** The repaired columns of the groups that are left. */
  matrix(): DenseMatrix {
    const { rows, size, weights } = this;
    const places = this.left.flatMap((group) => Array.from({ length: size }, (_, i) => group * size + i));
    const data = new Float32Array(rows * places.length);
    for (const [to, col] of places.entries())
      for (let row = 0; row < rows; row++) data[row * places.length + to] = weights[col * rows + row];
    return { kind: "dense", rows, cols: places.length, data };
  }

  /**
   * tr(W_g (C_gg^-1 - damping) W_g^T): C_gg^-1 is what the inputs of g are beside the others', and the damping. Inputs
   * that are always 0 cost nothing.
   */
  private costOf(group: number): number {
    const { size, rows, weights, damping, solved } = this;
    // L of C_gg = L L^T; the sum of the squares of L^-1 W_g^T is what is looked for.
    const lower = this.squares.slice(group * size * size, (group + 1) * size * size);
    let cost = 0;
    for (let i = 0; i < size; i++) {
      const at = i * rows;
      const from = (group * size + i) * rows;
      for (let row = 0; row < rows; row++) {
        const weight = weights[from + row];
        solved[at + row] = weight;
        cost -= damping * weight * weight;
      }
      for (let p = 0; p <= i; p++) {
        let sum = lower[i * size + p];
        for (let q = 0; q < p; q++) sum -= lower[i * size + q] * lower[p * size + q];
        lower[i * size + p] = p === i ? Math.sqrt(sum) : sum / lower[p * size + p];
        if (p === i) continue;
        const factor = lower[i * size + p];
        for (let row = 0; row < rows; row++) solved[at + row] -= factor * solved[p * rows + row];
      }
      const pivot = lower[i * size + i];
      for (let row = 0; row < rows; row++) {
        solved[at + row] /= pivot;
        cost += solved[at + row] ** 2;
      }
    }
    return cost;
  }

  /** Takes one column out of W and of C. */
  private eliminate(col: number): void {
    const { rows, cols, size, weights, squares } = this;
    const column = this.inverse.take(col);
    const scaled = weights.slice(col * rows, (col + 1) * rows);
    const pivot = column[col];
    for (let row = 0; row < rows; row++) scaled[row] /= pivot;
    for (let k = 0; k < cols; k++) {
      const group = Math.floor(k / size);
      if (this.gone.has(group)) continue;
      const factor = column[k];
      const at = k * rows;
      for (let row = 0; row < rows; row++) weights[at + row] -= factor * scaled[row];
      const first = group * size;
      const square = (group * size + (k - first)) * size;
      for (let q = 0; q < size; q++) squares[square + q] -= (factor / pivot) * column[first + q];
    }
  }
}

/** C = H^-1 column by column, less what columns that were taken have eliminated. */
class InverseColumns {
  /** u of H^-1 = u^T u, rows and columns in `order`. */
  private readonly factor: Float64Array;
  private readonly order: Int32Array;
  private readonly placeOf: Int32Array;
  /** c / sqrt(c_j) of each column that was taken. */
  private readonly taken: Float64Array[] = [];

  constructor(factor: Float64Array, order: Int32Array) {
    this.factor = factor;
    this.order = order;
    this.placeOf = new Int32Array(order.length);
    for (const [place, col] of order.entries()) this.placeOf[col] = place;
  }

  /** Squares of side `size` along C's diagonal, [squares, size, size]. */
  squares(size: number): Float64Array {
    const { factor, placeOf } = this;
    const n = placeOf.length;
    const squares = new Float64Array(n * size);
    for (let col = 0; col < n; col++) {
      const first = col - (col % size);
      for (let q = 0; q < size; q++) {
        const [a, b] = [placeOf[col], placeOf[first + q]];
        let sum = 0;
        for (let i = 0; i <= Math.min(a, b); i++) sum += factor[i * n + a] * factor[i * n + b];
        squares[col * size + q] = sum;
      }
    }
    return squares;
  }

  /** The column as it now is, which is eliminated from all later ones. */
  take(col: number): Float64Array {
    const { factor, order, placeOf, taken } = this;
    const n = order.length;
    const place = placeOf[col];
    const inOrder = new Float64Array(n);
    for (let i = 0; i <= place; i++) {
      const at = i * n;
      const own = factor[at + place];
      for (let q = i; q < n; q++) inOrder[q] += own * factor[at + q];
    }
    const column = new Float64Array(n);
    for (let q = 0; q < n; q++) column[order[q]] = inOrder[q];
    for (const earlier of taken) {
      const share = earlier[col];
      for (let q = 0; q < n; q++) column[q] -= share * earlier[q];
    }
    const root = Math.sqrt(column[col]);
    taken.push(column.map((value) => value / root));
    return column;
  }
}
