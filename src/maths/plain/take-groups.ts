import type { GroupRemoval } from "../maths.ts";
import { InverseColumns } from "./inverse-columns.ts";

/** Sums over rows are kept in so many parts, row r in part r mod LANES, that are added up in order at the end. */
const LANES = 8;

/**
 * Takes groups of columns out of a matrix W one after another, each time with the best repair of the columns that stay
 * (Optimal Brain Surgeon for groups). With C = H^-1 among the columns that are left, a group g costs tr(W_g C_gg^-1
 * W_g^T), and taking it out is elimination: W -= W_g C_gg^-1 C_g, C -= C_:g C_gg^-1 C_g. Of C only the squares C_gg are
 * kept up to date; a column is worked out from H's factor when it goes. Twin: native/offline/take-groups.cpp.
 */
export function takeGroups(removal: GroupRemoval): void {
  const { taken, costs } = removal;
  const hand = new Hand(removal);
  for (let i = 0; i < taken.length; i++) {
    const { place, cost } = taken[i] < 0 ? hand.cheapest() : { place: taken[i], cost: hand.costOf(taken[i]) };
    taken[i] = place;
    if (place < 0) return;
    costs[i] = cost;
    hand.take(place);
  }
}

/** The columns in hand. */
class Hand {
  private readonly removal: GroupRemoval;
  private readonly inverse: InverseColumns;
  /** C_gg of each group, [groups, size, size]. */
  private readonly squares: Float64Array;
  /** Sum of squares of each column. */
  private readonly norms: Float64Array;
  private readonly gone = new Set<number>();

  constructor(removal: GroupRemoval) {
    const { weights, rows, size, factor, order } = removal;
    this.removal = removal;
    this.inverse = new InverseColumns(factor, order);
    this.squares = this.inverse.squares(size);
    this.norms = Float64Array.from(order, (_, col) => sumOfSquares(weights.subarray(col * rows, (col + 1) * rows)));
  }

  /** The group that costs least, the first of equals; place -1 where none has a finite cost. */
  cheapest(): { place: number; cost: number } {
    let found = { place: -1, cost: Number.POSITIVE_INFINITY };
    for (let place = 0; place < this.removal.order.length / this.removal.size; place++) {
      if (this.gone.has(place)) continue;
      const cost = this.costOf(place);
      if (cost < found.cost) found = { place, cost };
    }
    return found;
  }

  /**
   * tr(W_g (C_gg^-1 - damping) W_g^T): C_gg^-1 is what the inputs of g are beside the others', and the damping. Inputs
   * that are always 0 cost nothing.
   */
  costOf(place: number): number {
    const { norms, squares } = this;
    const { size, damping } = this.removal;
    if (size === 1) return norms[place] * (1 / squares[place] - damping);
    let sum = 0;
    for (let col = place * size; col < (place + 1) * size; col++) sum += norms[col];
    return this.solvedSquares(place) - damping * sum;
  }

  take(place: number): void {
    const { size } = this.removal;
    for (let i = 0; i < size; i++) this.eliminate(place * size + i);
    this.gone.add(place);
  }

  /** tr(W_g C_gg^-1 W_g^T): with C_gg = L L^T the sum of the squares of L^-1 W_g^T. */
  private solvedSquares(place: number): number {
    const { size, rows, weights } = this.removal;
    const lower = this.squares.slice(place * size * size, (place + 1) * size * size);
    const solved = weights.slice(place * size * rows, (place + 1) * size * rows);
    let sum = 0;
    for (let i = 0; i < size; i++) {
      for (let p = 0; p <= i; p++) {
        let value = lower[i * size + p];
        for (let q = 0; q < p; q++) value -= lower[i * size + q] * lower[p * size + q];
        lower[i * size + p] = p === i ? Math.sqrt(value) : value / lower[p * size + p];
      }
      const own = solved.subarray(i * rows, (i + 1) * rows);
      for (let p = 0; p < i; p++) subtract(own, lower[i * size + p], solved.subarray(p * rows, (p + 1) * rows));
      for (let row = 0; row < rows; row++) own[row] /= lower[i * size + i];
      sum += sumOfSquares(own);
    }
    return sum;
  }

  /** Takes one column out of W and of C. */
  private eliminate(col: number): void {
    const { squares, norms } = this;
    const { rows, size, weights } = this.removal;
    const column = this.inverse.take(col);
    const pivot = column[col];
    const scaled = weights.slice(col * rows, (col + 1) * rows).map((weight) => weight / pivot);
    for (let k = 0; k < column.length; k++) {
      const place = Math.floor(k / size);
      if (this.gone.has(place)) continue;
      const own = weights.subarray(k * rows, (k + 1) * rows);
      subtract(own, column[k], scaled);
      norms[k] = sumOfSquares(own);
      for (let q = 0; q < size; q++) squares[k * size + q] -= (column[k] / pivot) * column[place * size + q];
    }
  }
}

function sumOfSquares(values: Float64Array): number {
  const parts = new Float64Array(LANES);
  for (let i = 0; i < values.length; i++) parts[i % LANES] += values[i] * values[i];
  return parts.reduce((sum, part) => sum + part, 0);
}

/** to -= factor * from. */
function subtract(to: Float64Array, factor: number, from: Float64Array): void {
  for (let i = 0; i < to.length; i++) to[i] -= factor * from[i];
}
