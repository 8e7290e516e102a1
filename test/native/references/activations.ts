import type { NativeMlp } from "../../../src/native/addon.ts";
import { silu } from "../../references/ops.ts";

/** An activation in f64 and by how much the kernel may be off, for |x| <= 2^20. */
export interface BoundedNumber {
  readonly value: number;
  readonly bound: number;
}

const EPSILON = 2 ** -24;
/** Where e^-x leaves f32's range, x / (1 + e^-x) is 0 in place of at most 104 * e^-88. */
const TINY = 2 ** -119;

export const ACTIVATION_BOUNDS: Readonly<Record<NativeMlp["activation"], (x: number) => BoundedNumber>> = {
  relu: (x) => ({ value: Math.max(0, x), bound: 0 }),
  // exp within 1 ulp = 2 * 2^-24, then a sum and a quotient.
  silu: (x) => ({ value: silu(x), bound: 5 * EPSILON * Math.abs(silu(x)) + TINY }),
  // The exponent x^2/2 is rounded twice, which the tail feels x^2/2-fold twice over; its polynomial, exp, s and
  // products add 12.
  "gelu-erf": (x) => {
    const tail = Math.abs(x) * normalTail(Math.abs(x));
    const value = x < 0 ? -tail : x - tail;
    return { value, bound: (x * x + 12) * EPSILON * tail + EPSILON * Math.abs(value) + TINY };
  },
  // Four roundings of 2u, felt |2u| * (1 - logistic)-fold, then as silu.
  "gelu-tanh": (x) => {
    const twice = 2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x);
    const value = x / (1 + Math.exp(-twice));
    const rest = 1 / (1 + Math.exp(twice));
    return { value, bound: (5 * Math.abs(twice) * rest + 5) * EPSILON * Math.abs(value) + TINY };
  },
};

/** The normal distribution's tail beyond t >= 0, to f64 accuracy: a series near 0, a continued fraction beyond. */
export function normalTail(t: number): number {
  const density = Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI);
  if (t < 3) {
    // 1/2 - density * (t + t^3/3 + t^5/15 + …)
    let term = t;
    let sum = t;
    for (let n = 3; term > 1e-18 * sum; n += 2) {
      term *= (t * t) / n;
      sum += term;
    }
    return 0.5 - density * sum;
  }
  // density / (t + 1 / (t + 2 / (t + 3 / …)))
  let fraction = t;
  for (let n = 200; n >= 1; n--) fraction = t + n / fraction;
  return density / fraction;
}
