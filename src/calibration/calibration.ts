/** Calibration text as token ids: sequences that are run each on its own from position 0. */
export interface Calibration {
  readonly sequences: readonly Int32Array[];
  /** Tokens of all sequences. */
  readonly tokens: number;
  /** sha256 of the ids and the sequence lengths: names this calibration set in scores and provenance. */
  readonly id: string;
  readonly sources: readonly CalibrationSource[];
}

/** One file that contributed. */
export interface CalibrationSource {
  readonly path: string;
  readonly sha256: string;
  readonly tokens: number;
  readonly sequences: number;
}
