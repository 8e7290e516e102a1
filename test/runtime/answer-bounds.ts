import { expect } from "vitest";
import type { HeadAnswers } from "../../src/runtime/head-answers.ts";

/** Rounding of an f32 number. */
const U = 2 ** -24;

/**
 * Answers to rows of logits against the definition in f64. `best` is exact. In the rest each e^d, d = logit - largest,
 * is off by at most (|d| + 2) u: d is rounded, and the engine's polynomial is within one ulp; sums of four vectors are
 * f32; a weight below e^-87 counts as that. So with p = e^d / mass and D = sum of p (|d| + 2):
 *   entropy   u (sum of p (|d| + 2) (|d| + ln mass + H) + 8 sum of p |d| + 4 + H) + n 1e-34
 *   largest   P u (D + 5)
 *   margin    P u (2 D + |d2| + 8), d2 the second largest's
 */
export function expectAnswers(found: HeadAnswers, logits: Float32Array, width: number, first = 0): void {
  for (let row = 0; row * width < logits.length; row++) {
    const x = logits.subarray(row * width, (row + 1) * width);
    const largest = x.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
    const best = x.indexOf(largest);
    const d = Float64Array.from(x, (value) => value - largest);
    const mass = d.reduce((sum, value) => sum + Math.exp(value), 0);
    const mean = (of: (size: number) => number) =>
      d.reduce((sum, value) => sum + (Math.exp(value) / mass) * of(-value), 0);
    const [size, spread, logMass] = [mean((s) => s), mean((s) => s + 2), Math.log(mass)];
    const entropy = logMass + size;
    const second = d.reduce((most, value, i) => (i === best ? most : Math.max(most, value)), Number.NEGATIVE_INFINITY);
    const probability = 1 / mass;
    const entropyBound = U * (mean((s) => (s + 2) * (s + logMass + entropy)) + 8 * size + 4 + entropy) + width * 1e-34;
    const distance = second === Number.NEGATIVE_INFINITY ? 0 : -second;
    const at = first + row;
    expect(found.best[at]).toBe(best);
    expect(Math.abs(found.entropy[at] - entropy)).toBeLessThanOrEqual(entropyBound);
    expect(Math.abs(found.maxProbability[at] - probability)).toBeLessThanOrEqual(probability * U * (spread + 5));
    const margin = (1 - Math.exp(second)) * probability;
    // A second logit far behind the first weighs nothing, however it is rounded.
    const marginBound = probability * U * (2 * spread + Math.min(distance, 100) + 8);
    expect(Math.abs(found.margin[at] - margin)).toBeLessThanOrEqual(marginBound);
  }
}
