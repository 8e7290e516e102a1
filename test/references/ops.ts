/**
 * Plain reference maths, summed in f64: the slow twins that the executors are tested against. Matrices are row-major;
 * weights are [outputs, inputs].
 */

/** y = x W^T (+ bias): x [rows, cols], weights [outputs, cols], bias [outputs] -> [rows, outputs]. */
export function matMul(
  x: Float32Array,
  weights: Float32Array,
  rows: number,
  cols: number,
  bias?: Float32Array,
): Float32Array {
  const outputs = weights.length / cols;
  const y = new Float32Array(rows * outputs);
  for (let row = 0; row < rows; row++) {
    for (let output = 0; output < outputs; output++) {
      let sum = bias ? bias[output] : 0;
      for (let i = 0; i < cols; i++) sum += x[row * cols + i] * weights[output * cols + i];
      y[row * outputs + output] = sum;
    }
  }
  return y;
}

/** x / rms(x) * weight over rows of `weight.length`. */
export function rmsNorm(x: Float32Array, weight: Float32Array, eps: number): Float32Array {
  const size = weight.length;
  return x.map((value, i) => (value / Math.sqrt(meanSquare(rowOf(x, i, size), 0) + eps)) * weight[i % size]);
}

/** (x - mean) / deviation * weight + bias over rows of `weight.length`. */
export function layerNorm(x: Float32Array, weight: Float32Array, bias: Float32Array, eps: number): Float32Array {
  const size = weight.length;
  return x.map((value, i) => {
    const row = rowOf(x, i, size);
    const mean = row.reduce((sum, element) => sum + element, 0) / size;
    return ((value - mean) / Math.sqrt(meanSquare(row, mean) + eps)) * weight[i % size] + bias[i % size];
  });
}

/** exp(x) / sum exp(x) of one row. */
export function softmax(row: Float32Array): Float32Array {
  const largest = row.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const sum = row.reduce((total, value) => total + Math.exp(value - largest), 0);
  return row.map((value) => Math.exp(value - largest) / sum);
}

/**
 * Rotates pairs (i, i + dims/2) of every head: x [rows, heads, headDim], cos and sin [rows, dims/2] (RoFormer,
 * half-split).
 */
export function rotateHalves(
  x: Float32Array,
  shape: { rows: number; heads: number; headDim: number },
  cos: Float32Array,
  sin: Float32Array,
): Float32Array {
  const { rows, heads, headDim } = shape;
  const pairs = cos.length / rows;
  const y = x.slice();
  for (let row = 0; row < rows; row++) {
    for (let head = 0; head < heads; head++) {
      const base = (row * heads + head) * headDim;
      for (let i = 0; i < pairs; i++) {
        const [c, s] = [cos[row * pairs + i], sin[row * pairs + i]];
        const [a, b] = [x[base + i], x[base + i + pairs]];
        y[base + i] = a * c - b * s;
        y[base + i + pairs] = b * c + a * s;
      }
    }
  }
  return y;
}

/**
 * Causal grouped-query attention of the last `rows` of `positions`: q [rows, heads, headDim], k and v [positions,
 * kvHeads, headDim] -> [rows, heads, headDim]. Query head h reads key head floor(h * kvHeads / heads); `window` counts
 * the row itself.
 */
export function attention(
  q: Float32Array,
  k: Float32Array,
  v: Float32Array,
  spec: { heads: number; kvHeads: number; headDim: number; scale: number; window: number | null },
): Float32Array {
  const { heads, kvHeads, headDim, scale } = spec;
  const rows = q.length / (heads * headDim);
  const positions = k.length / (kvHeads * headDim);
  const out = new Float32Array(q.length);
  for (let row = 0; row < rows; row++) {
    const last = positions - rows + row;
    const first = Math.max(0, last - (spec.window ?? positions) + 1);
    for (let head = 0; head < heads; head++) {
      const queryAt = (row * heads + head) * headDim;
      const keyAt = (j: number) => ((first + j) * kvHeads + Math.floor((head * kvHeads) / heads)) * headDim;
      const dot = (j: number) => {
        let sum = 0;
        for (let i = 0; i < headDim; i++) sum += q[queryAt + i] * k[keyAt(j) + i];
        return sum * scale;
      };
      const weights = softmax(Float32Array.from({ length: last - first + 1 }, (_, j) => dot(j)));
      for (let i = 0; i < headDim; i++) {
        out[queryAt + i] = weights.reduce((sum, weight, j) => sum + weight * v[keyAt(j) + i], 0);
      }
    }
  }
  return out;
}

/** x / (1 + exp(-x)). */
export function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

/** GELU with the exact Gaussian integral: x/2 (1 + erf(x / sqrt 2)) (arXiv 1606.08415). */
export function geluErf(x: number): number {
  return 0.5 * x * (1 + erf(x * Math.SQRT1_2));
}

/** GELU in its tanh form (arXiv 1606.08415, section 2). */
export function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
}

/** Error function to f64 accuracy: its Taylor series, which needs |x| < 6; beyond that it is 1 to the last bit. */
export function erf(x: number): number {
  if (Math.abs(x) >= 6) return Math.sign(x);
  // The series with positive terms only (no cancellation): 2/sqrt(pi) e^(-x^2) sum 2^n x^(2n+1) / (1·3·…·(2n+1)).
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

function rowOf(x: Float32Array, index: number, size: number): Float32Array {
  const start = index - (index % size);
  return x.subarray(start, start + size);
}

function meanSquare(row: Float32Array, mean: number): number {
  return row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length;
}
