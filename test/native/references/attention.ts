import { roundToF16 } from "../../../src/tensor/half.ts";
import { roundHalfEven } from "./fma.ts";
import type { Bounded } from "./integer-product.ts";

export type KvType = "f32" | "f16" | "q8";

/** What NativeKernels.attend takes. */
export interface AttendCase {
  readonly kvType: KvType;
  readonly headDim: number;
  /** [count, headDim] */
  readonly queries: Float32Array;
  /** [positions, headDim] */
  readonly keys: Float32Array;
  readonly values: Float32Array;
  /** Query i sees positions [visibleFrom[i], visibleTo[i]). */
  readonly visibleFrom: Int32Array;
  readonly visibleTo: Int32Array;
}

const EPSILON = 2 ** -24;
const PAGE = 64;

/**
 * Attention in f64 over keys and values as they are stored, with the bound
 *   (4 d + 2 (n + 4 p + 8) 2^-24) S + 2^-24 (T + D S)
 * for n visible positions in p pages, d = (headDim + 2) 2^-24 max_j sum_c |q_c k_jc| (error of a score, felt by weight
 * and normaliser, each in the score and in the maximum), S = sum_j w_j |v_j|, T = sum_j w_j |s_j - max| |v_j|, D =
 * sum_j w_j |s_j - max| (rounding of the exponent), w the exact weights. The sums over positions round once each, a
 * page's merging four times; exp is good to 1 ulp.
 */
export function attendBounded(run: AttendCase): Bounded {
  const count = run.visibleFrom.length;
  const keys = stored(run.keys, run);
  const values = stored(run.values, run);
  const out = { values: new Float64Array(run.queries.length), bounds: new Float64Array(run.queries.length) };
  for (let i = 0; i < count; i++) attendOne(run, keys, values, i, out);
  return out;
}

/** Numbers as the cache gives them back: f16 rounded; q8 levels under one f32 scale a position, max|x| / 127. */
function stored(x: Float32Array, { kvType, headDim }: Pick<AttendCase, "kvType" | "headDim">): Float64Array {
  if (kvType === "f32") return Float64Array.from(x);
  if (kvType === "f16") return Float64Array.from(x, roundToF16);
  const out = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += headDim) {
    const vector = x.subarray(at, at + headDim);
    const scale = Math.fround(vector.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    vector.forEach((value, c) => {
      out[at + c] = scale * Math.max(-127, Math.min(127, roundHalfEven(Math.fround(value * inverse))));
    });
  }
  return out;
}

function attendOne(run: AttendCase, keys: Float64Array, values: Float64Array, i: number, out: Bounded): void {
  const { headDim, queries } = run;
  const [from, to] = [run.visibleFrom[i], run.visibleTo[i]];
  const scores: number[] = [];
  let largestTerms = 0;
  for (let j = from; j < to; j++) {
    let score = 0;
    let terms = 0;
    for (let c = 0; c < headDim; c++) {
      const product = queries[i * headDim + c] * keys[j * headDim + c];
      score += product;
      terms += Math.abs(product);
    }
    scores.push(score);
    largestTerms = Math.max(largestTerms, terms);
  }
  const largest = Math.max(...scores);
  const exponentials = scores.map((score) => Math.exp(score - largest));
  const sum = exponentials.reduce((total, e) => total + e, 0);
  const spread = exponentials.reduce((total, e, j) => total + (e / sum) * (largest - scores[j]), 0);
  const pages = Math.ceil(to / PAGE) - Math.floor(from / PAGE);
  const scoreError = (headDim + 2) * EPSILON * largestTerms;
  const factor = 4 * scoreError + (2 * (to - from + 4 * pages + 8) + spread) * EPSILON;
  for (let c = 0; c < headDim; c++) {
    const at = i * headDim + c;
    exponentials.forEach((e, j) => {
      const weighted = (e / sum) * values[(from + j) * headDim + c];
      out.values[at] += weighted;
      out.bounds[at] += (factor + EPSILON * (largest - scores[j])) * Math.abs(weighted);
    });
  }
}
