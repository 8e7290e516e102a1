import { Random } from "../../src/tensor/random.ts";

/**
 * A seeded orthogonal matrix Q [size, size] that spreads every channel over all others: random signs, then a Hadamard
 * matrix of the largest power of two that divides the size (kron) a random orthogonal one of the rest, as QuaRot's for
 * sizes that have no Hadamard matrix (arXiv 2404.00456). Never held whole: a row costs size * (log2 of the power + the
 * rest).
 */
export interface OrthogonalMatrix {
  readonly size: number;
  /** x Q in place, x [size] of f64. */
  rotate(x: Float64Array): void;
}

/** Makes the matrix of a size; the same seed gives the same one on every machine. */
export function orthogonalMatrix(size: number, seed: number): OrthogonalMatrix {
  const random = new Random(seed);
  const rest = oddPart(size);
  const signs = Float64Array.from({ length: size }, () => (random.nextInt(2) === 0 ? 1 : -1));
  const small = randomOrthogonal(rest, random.fork("rest"));
  const scale = 1 / Math.sqrt(size / rest);
  const block = new Float64Array(rest);
  return {
    size,
    rotate(x) {
      if (x.length !== size) throw new RangeError(`x: expected ${size} numbers, found ${x.length}`);
      for (let i = 0; i < size; i++) x[i] *= signs[i] * scale;
      hadamard(x, rest);
      if (rest === 1) return;
      for (let first = 0; first < size; first += rest) {
        block.set(x.subarray(first, first + rest));
        for (let j = 0; j < rest; j++) {
          let sum = 0;
          for (let i = 0; i < rest; i++) sum += block[i] * small[i * rest + j];
          x[first + j] = sum;
        }
      }
    },
  };
}

/** Largest odd divisor. */
function oddPart(size: number): number {
  let rest = size;
  while (rest % 2 === 0) rest /= 2;
  return rest;
}

/** x times (Hadamard matrix kron identity of `width`), not scaled: butterflies over blocks of `width` numbers. */
function hadamard(x: Float64Array, width: number): void {
  for (let half = width; half < x.length; half *= 2) {
    for (let first = 0; first < x.length; first += 2 * half) {
      for (let i = first; i < first + half; i++) {
        const [a, b] = [x[i], x[i + half]];
        x[i] = a + b;
        x[i + half] = a - b;
      }
    }
  }
}

/**
 * A random orthogonal matrix [n, n]: normal numbers, orthogonalised row by row (Gram-Schmidt, twice for its rounding
 * errors).
 */
function randomOrthogonal(n: number, random: Random): Float64Array {
  const q = Float64Array.from({ length: n * n }, () => random.nextNormal());
  for (let i = 0; i < n; i++) {
    const row = q.subarray(i * n, (i + 1) * n);
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < i; j++) {
        const other = q.subarray(j * n, (j + 1) * n);
        const product = dot(row, other);
        for (let k = 0; k < n; k++) row[k] -= product * other[k];
      }
      const length = Math.sqrt(dot(row, row));
      for (let k = 0; k < n; k++) row[k] /= length;
    }
  }
  return q;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
