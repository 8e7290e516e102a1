import type { Confidence, ExitLevel } from "../../artifact/exits/table.ts";
import { reportCascade } from "./cascade-report.ts";
import { type ExitAnswers, fitCascade } from "./thresholds.ts";

/** Wanted agreements that thresholds are stored for (arXiv 2407.21082). */
export const EPSILONS: readonly number[] = [0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99];

/** Answers on two splits that trained nothing. */
export interface CalibrationAnswers {
  /** Thresholds are fitted to these, one entry an exit. */
  readonly calibrate: readonly ExitAnswers[];
  /** And are reported on these. */
  readonly report: readonly ExitAnswers[];
}

/** Where the exits stand, and what their thresholds are for. */
export interface LevelOptions {
  readonly metric: Confidence;
  /** Rising. */
  readonly epsilons: readonly number[];
  /** Blocks run before each exit, and of the whole model. */
  readonly points: readonly number[];
  readonly blocks: number;
  /** Tokens of each text that is reported on. */
  readonly texts: readonly number[];
}

/** Thresholds of the cascade for every wanted agreement, and what they do on text that they were not fitted to. */
export function calibrateLevels(answers: CalibrationAnswers, options: LevelOptions): ExitLevel[] {
  const { metric, epsilons, points, blocks, texts } = options;
  return epsilons.map((epsilon) => {
    const thresholds = fitCascade(answers.calibrate, { metric, epsilon }).map(({ threshold }) => threshold);
    const report = reportCascade(answers.report, { metric, thresholds, blocks: points, totalBlocks: blocks, texts });
    return { epsilon, thresholds, report };
  });
}
