/** How a block's rounding is learned. */
export interface LearningSettings {
  readonly iterations: number;
  /** Rows of one iteration at most, in whole sequences; at least one. */
  readonly batchTokens: number;
  /** Iterations between two looks at the held-out examples. */
  readonly evaluateEvery: number;
  /** Sums of the first rates over all iterations, twice of what a steady gradient moves: of a place (codes), a scale and a vector (parts of themselves). */
  readonly rounding: number;
  readonly scale: number;
  readonly vector: number;
}

/** 110 iterations of 1,024 tokens take about 50 seconds for a block of SmolLM2 on two cores. */
export const LEARNING_DEFAULTS: LearningSettings = {
  iterations: 100,
  batchTokens: 1024,
  evaluateEvery: 25,
  rounding: 1,
  scale: 0.1,
  vector: 0.05,
};
