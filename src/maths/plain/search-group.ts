import { roundToF16 } from "../../tensor/half.ts";
import { inverseOf } from "../../tensor/rounding.ts";
import { codeOf, type LevelForm } from "../level-form.ts";

/**
 * Columns from which on a group is long: rare extremes weigh little then, and cutting them off by these factors pays.
 */
export const LONG_GROUP = 48;
export const CUTS: readonly number[] = [1.1, 1.2, 1.3, 1.45, 1.6, 1.8, 2.1, 2.5, 3];

/** Weights that share a scale, as the searches look at them: element i of [from, to) counts with weights[i - shift]. */
export interface SearchGroup {
  readonly x: Float32Array;
  readonly from: number;
  readonly to: number;
  /** [cols], positive: how much a column's squared error counts */
  readonly weights: Float32Array;
  /** Where the row begins in x. */
  readonly shift: number;
  readonly form: LevelForm;
  /** A candidate as it is stored: rounded to f16, or to f32 where it is a wish that two-level scales come near to. */
  readonly stored: (number: number) => number;
}

/**
 * A scale and minimum (0 where the levels are signed) and the weighted squared error that they leave in their group.
 */
export interface Fit {
  scale: number;
  minimum: number;
  error: number;
}

/** The two ways of storing a scale, for SearchGroup.stored. */
export const STORED = { f16: roundToF16, f32: Math.fround } as const;

/** Chooses the group's codes under a fit. */
export function chooseCodes({ x, from, to, form }: SearchGroup, fit: Fit, codes: Uint8Array): void {
  const inverse = inverseOf(fit.scale);
  for (let i = from; i < to; i++) codes[i] = codeOf(form, (x[i] - fit.minimum) * inverse);
}
