/** One unknown of a mixed-integer linear program. */
export interface MilpColumn {
  readonly cost: number;
  readonly lower: number;
  readonly upper: number;
  /** Whole numbers only. */
  readonly whole: boolean;
  /** Its factor in each row that it takes part in. */
  readonly entries: readonly (readonly [row: number, factor: number])[];
}

/** Minimise the cost of the columns, every row between its bounds. */
export interface Milp {
  readonly columns: readonly MilpColumn[];
  readonly rows: readonly { readonly lower: number; readonly upper: number }[];
  /** Distance from the proven bound, relative to the cost, at which a solution is good enough; 0: a proven optimum. */
  readonly relativeGap: number;
}

/**
 * Value of every column of a best solution; null where no values satisfy the rows. The same for the same program,
 * anywhere.
 */
export type MilpSolver = (milp: Milp) => Float64Array | null;
