/**
 * IEEE single precision in TypeScript. +, -, *, / and sqrt of f32 numbers computed in f64 and rounded by Math.fround
 * are the correctly rounded f32 results (53 >= 2 * 24 + 2 bits); a fused multiply-add is not, and is made here.
 */

const f64 = new Float64Array(1);
const words = new Uint32Array(f64.buffer);

/** a * b + c of f32 numbers, rounded once to f32. */
export function fma32(a: number, b: number, c: number): number {
  const product = a * b; // exact: 48 bits
  const sum = product + c;
  const error = errorOfSum(product, c, sum);
  return Math.fround(error === 0 || !Number.isFinite(sum) ? sum : toOdd(sum, error));
}

/** What product + c lost when it was rounded to `sum` (Knuth's two-sum). */
function errorOfSum(a: number, b: number, sum: number): number {
  const bRounded = sum - a;
  return a - (sum - bRounded) + (b - bRounded);
}

/**
 * The odd one of the two f64 numbers around an inexact sum: a second rounding, to f32, then gives what one rounding of
 * the exact sum would have given (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums").
 */
function toOdd(sum: number, error: number): number {
  f64[0] = sum;
  if (words[0] & 1) return sum;
  const away = sum > 0 === error > 0;
  if (away) words[0] += 1;
  else if (words[0] === 0) {
    words[0] = 0xffffffff;
    words[1] -= 1;
  } else words[0] -= 1;
  return f64[0];
}

/** To the nearest whole number, halves to even. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * Sum over a row as every table makes it: lane i takes elements i, i + 16, …, then lanes are added pairwise,
 * i + (i+8), i + (i+4), i + (i+2), i + (i+1). `step` gives a lane's new sum.
 */
export function laneSum(length: number, step: (sum: number, index: number) => number): number {
  const lanes = new Float32Array(16);
  for (let i = 0; i < length; i++) lanes[i % 16] = step(lanes[i % 16], i);
  for (let width = 8; width >= 1; width /= 2) {
    for (let i = 0; i < width; i++) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}
