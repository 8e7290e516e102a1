import { fma32, laneSum } from "./fma.ts";

/**
 * Numbers that a kernel must give to the last bit, and by how much these may differ from exact arithmetic, number by
 * number.
 */
export interface Twin {
  readonly bits: Float32Array;
  readonly exact: Float64Array;
  readonly bounds: Float64Array;
}

const EPSILON = 2 ** -24;
const { fround } = Math;

/**
 * (x * inverse) * weight with inverse = 1 / sqrt(sum x^2 / n + eps), every step rounded. Bound, with L = ceil(n / 16)
 * terms a lane: (L / 2 + 8) * 2^-24 * |y|: L + 4 roundings of the sum and 2 of mean and eps, halved by the root, then
 * root, quotient, 2 products.
 */
export function rmsNormTwin(x: Float32Array, weight: Float32Array, eps: number): Twin {
  const n = x.length;
  const squares = laneSum(n, (sum, i) => fma32(x[i], x[i], sum));
  const inverse = inverseDeviation(squares, n, eps);
  const deviation = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / n + fround(eps));
  const exact = Float64Array.from(x, (value, i) => (value / deviation) * weight[i]);
  return {
    bits: x.map((value, i) => fround(value * inverse) * weight[i]),
    exact,
    bounds: exact.map((y) => (Math.ceil(n / 16) / 2 + 8) * EPSILON * Math.abs(y)),
  };
}

/**
 * fma((x - mean) * inverse, weight, bias). Bound, with L = ceil(n / 16): (L + 10) * 2^-24 * ((2 |x| + 2 mean|x|) /
 * deviation * |weight| + |bias|): the mean is off by (L + 5) * 2^-24 * mean|x|, the deviation by about half of that of
 * its own sum, each other step rounds once.
 */
export function layerNormTwin(x: Float32Array, weight: Float32Array, bias: Float32Array, eps: number): Twin {
  const n = x.length;
  const mean = fround(laneSum(n, (sum, i) => sum + x[i]) / n);
  const squares = laneSum(n, (sum, i) => fma32(fround(x[i] - mean), fround(x[i] - mean), sum));
  const inverse = inverseDeviation(squares, n, eps);
  const average = x.reduce((sum, value) => sum + value, 0) / n;
  const variance = x.reduce((sum, value) => sum + (value - average) ** 2, 0) / n;
  const deviation = Math.sqrt(variance + fround(eps));
  const size = x.reduce((sum, value) => sum + Math.abs(value), 0) / n;
  return {
    bits: x.map((value, i) => fma32(fround(fround(value - mean) * inverse), weight[i], bias[i])),
    exact: Float64Array.from(x, (value, i) => ((value - average) / deviation) * weight[i] + bias[i]),
    bounds: Float64Array.from(
      x,
      (value, i) =>
        (Math.ceil(n / 16) + 10) *
        EPSILON *
        (((2 * Math.abs(value) + 2 * size) / deviation) * Math.abs(weight[i]) + Math.abs(bias[i])),
    ),
  };
}

/**
 * Half-split pairs (a, b) -> (a cos - b sin, b cos + a sin), products rounded before they are added: 2 * 2^-24 * (|a
 * cos| + |b sin|).
 */
export function rotateTwin(x: Float32Array, cos: Float32Array, sin: Float32Array): Twin {
  const pairs = cos.length;
  const parts = (i: number): [number, number] =>
    i < pairs ? [x[i] * cos[i], -x[i + pairs] * sin[i]] : [x[i] * cos[i - pairs], x[i - pairs] * sin[i - pairs]];
  const indices = Float64Array.from(x, (_, i) => i);
  return {
    bits: Float32Array.from(indices, (i) => fround(parts(i)[0]) + fround(parts(i)[1])),
    exact: indices.map((i) => parts(i)[0] + parts(i)[1]),
    bounds: indices.map((i) => 2 * EPSILON * (Math.abs(parts(i)[0]) + Math.abs(parts(i)[1]))),
  };
}

function inverseDeviation(squares: number, n: number, eps: number): number {
  const mean = fround(squares / n);
  return fround(1 / fround(Math.sqrt(fround(mean + fround(eps)))));
}
