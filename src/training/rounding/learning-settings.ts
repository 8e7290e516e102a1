/** How a block's rounding is learned. */
export interface LearningSettings {
  readonly iterations: number;
  /** Rows of one iteration at most, in whole sequences; at least one. */
  readonly batchTokens: number;
  /** Iterations between two looks at the held-out examples. */
  readonly evaluateEvery: number;
  /**
   * Sums of the first rates over all iterations, twice of what a steady gradient moves: of a place (codes), a scale and
   * a vector (parts of themselves).
   */
  readonly rounding: number;
  readonly scale: number;
  readonly vector: number;
}

/** Chosen on blocks of SmolLM2-135M (docs/decisions/0007), where an iteration takes about 0.5 seconds on two cores. */
export const LEARNING_DEFAULTS: LearningSettings = {
  iterations: 80,
  batchTokens: 1024,
  evaluateEvery: 20,
  rounding: 1,
  scale: 0.04,
  vector: 0.1,
};
