/**
 * Two-level scales: a group's scale is a whole number -127 … 127 times the row's own scale, a bf16 number. The row's
 * scale needs the range of f32, not its precision, since the whole numbers are chosen for it; and a product of 7 and 8
 * bits is exact in f32.
 */
import { bf16ToF32, f32ToBf16, roundToF16 } from "../tensor/half.ts";
import { inverseOf, nearestLevel } from "../tensor/rounding.ts";
import type { Codec } from "./codec.ts";

/** Largest whole number that a group's scale is stored as. */
export const MOST_SCALE_CODE = 127;

/**
 * The row scale for scales of at most `most` in magnitude: the least bf16 number whose 127-fold reaches it; 0 for 0.
 * Throws nothing: an infinite `most` gives infinity, which packing refuses.
 */
export function rowScaleFor(most: number): number {
  let bits = f32ToBf16(most / MOST_SCALE_CODE);
  while (bits > 0 && MOST_SCALE_CODE * bf16ToF32(bits - 1) >= most) bits--;
  while (MOST_SCALE_CODE * bf16ToF32(bits) < most) bits++;
  return bf16ToF32(bits);
}

/**
 * The whole number -127 … 127 whose multiple of `rowScale` is nearest to `wanted`, ties to even, moved by `by`; 0 where
 * the row's scale is 0. By the inverse, as the engine's searches have it: which of two codes a number between them gets
 * shows in the bytes.
 */
export function scaleCodeFor(wanted: number, rowScale: number, by = 0): number {
  const nearest = nearestLevel(wanted * inverseOf(rowScale), -MOST_SCALE_CODE, MOST_SCALE_CODE);
  return nearestLevel(nearest + by, -MOST_SCALE_CODE, MOST_SCALE_CODE);
}

/** The number nearest to `wanted` that can be stored: a multiple of `step`, or for 0 an f16 number. */
export function nearestStored(wanted: number, step: number): number {
  return step === 0 ? roundToF16(wanted) : scaleCodeFor(wanted, step) * step;
}

/** Scales (or minima) as a codec can store them. */
export interface SnappedScales {
  /** [rows, groups], what a reader computes: f16 numbers or whole multiples of the row's scale. */
  readonly scales: Float32Array;
  /** [rows], bf16 numbers; null unless the codec's scales have two levels. */
  readonly rowScales: Float32Array | null;
}

/**
 * The nearest scales that an integer codec can store, for wanted ones of either sign, [rows, groups]; `groups` of a
 * row. Asymmetric codecs: once for the scales, once for the minima. What overflows becomes infinite, and is refused by
 * `pack`.
 */
export function snapScales(
  { scaleKind }: Pick<Codec, "scaleKind">,
  wanted: Float32Array,
  groups: number,
): SnappedScales {
  if (scaleKind !== "two-level") return { scales: wanted.map(roundToF16), rowScales: null };
  const scales = new Float32Array(wanted.length);
  const rowScales = new Float32Array(wanted.length / groups);
  for (let row = 0; row < rowScales.length; row++) {
    let most = 0;
    for (let i = row * groups; i < (row + 1) * groups; i++) most = Math.max(most, Math.abs(wanted[i]));
    const unit = rowScaleFor(most);
    rowScales[row] = unit;
    for (let i = row * groups; i < (row + 1) * groups; i++) scales[i] = scaleCodeFor(wanted[i], unit) * unit;
  }
  return { scales, rowScales };
}
