/** How the probabilities that voters give an id become one number; {@link Ballot} then makes them sum to 1. */
export interface VoteRule {
  /** For people, one clause. */
  readonly what: string;
  /** Voters count by weights that were fitted to text; false: all alike. */
  readonly weighted: boolean;
  /**
   * What two voters' (weighted) probabilities of an id are together, all as logarithms. In any order and any grouping
   * the same, to rounding; -Infinity, no vote, leaves the other as it is.
   */
  join(one: number, other: number): number;
}
