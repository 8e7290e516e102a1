/**
 * C = H^-1 column by column, less what columns that were taken have eliminated: u of H^-1 = u^T u is given, rows and
 * columns in `order`.
 */
export class InverseColumns {
  private readonly factor: Float64Array;
  private readonly order: Int32Array;
  /** Of each column its place in the order. */
  private readonly placeOf: Int32Array;
  /** c / sqrt(c_j) of each column that was taken. */
  private readonly taken: Float64Array[] = [];

  constructor(factor: Float64Array, order: Int32Array) {
    this.factor = factor;
    this.order = order;
    this.placeOf = new Int32Array(order.length);
    for (const [place, col] of order.entries()) this.placeOf[col] = place;
  }

  /** Squares of side `size` along C's diagonal, [squares, size, size]; before any column is taken. */
  squares(size: number): Float64Array {
    const { factor, placeOf } = this;
    const n = placeOf.length;
    const squares = new Float64Array(n * size);
    for (let i = 0; i < n; i++) {
      for (let col = 0; col < n; col++) {
        const own = factor[i * n + placeOf[col]];
        if (own === 0) continue;
        const first = col - (col % size);
        for (let q = 0; q < size; q++) squares[col * size + q] += own * factor[i * n + placeOf[first + q]];
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
      const own = factor[i * n + place];
      for (let q = i; q < n; q++) inOrder[q] += own * factor[i * n + q];
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
