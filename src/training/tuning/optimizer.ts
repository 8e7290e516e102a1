import type { LowRankPart } from "../../model/low-rank.ts";
import { adamStep } from "../adam.ts";
import type { LowRankSlopes } from "./block/low-rank.ts";
import type { PartMoments } from "./tuning-state.ts";

/** A part that is learned. */
export interface LearnedPart {
  readonly part: LowRankPart;
  readonly slopes: LowRankSlopes;
  readonly moments: PartMoments;
}

/** One update. */
export interface UpdateSettings {
  readonly rate: number;
  readonly decay: number;
  /** Largest norm of all slopes together. */
  readonly clip: number;
  /** Updates of these parts, this one included. */
  readonly step: number;
}

/** Norm of all slopes together. */
export function slopeNorm(parts: readonly LearnedPart[]): number {
  let squares = 0;
  for (const { slopes } of parts) {
    for (const values of [slopes.a, slopes.b]) for (let i = 0; i < values.length; i++) squares += values[i] * values[i];
  }
  return Math.sqrt(squares);
}

/** AdamW on slopes that are shortened to `clip`, and zeros in their place for the next step. norm: of all slopes. */
export function updateParts(parts: readonly LearnedPart[], norm: number, settings: UpdateSettings): void {
  const { rate, decay, clip, step } = settings;
  const factor = norm > clip ? clip / norm : 1;
  for (const { part, slopes, moments } of parts) {
    for (const letter of ["a", "b"] as const) {
      const slope = slopes[letter];
      if (factor !== 1) for (let i = 0; i < slope.length; i++) slope[i] *= factor;
      adamStep(part[letter], slope, moments[letter], step, { rate, decay });
      slope.fill(0);
    }
  }
}
