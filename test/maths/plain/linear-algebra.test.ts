import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { accumulateGram, cholesky, inverseUpperFactor } from "../../../src/maths/plain/linear-algebra.ts";
import { Random } from "../../../src/tensor/random.ts";

const normals = (length: number, seed: number) => {
  const random = new Random(seed);
  return Float32Array.from({ length }, () => random.nextNormal());
};

/** g g^T + ridge I, which is positive definite. */
function positiveDefinite(n: number, seed: number, ridge = 1): Float64Array {
  const g = normals(n * n, seed);
  const a = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let sum = i === j ? ridge : 0;
      for (let p = 0; p < n; p++) sum += g[Math.max(i, j) * n + p] * g[Math.min(i, j) * n + p];
      a[i * n + j] = sum;
    }
  }
  return a;
}

/** a b of square matrices, either transposed. */
function product(a: Float64Array, b: Float64Array, n: number, transposed: "a" | "b" | "none"): Float64Array {
  return Float64Array.from({ length: n * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    let sum = 0;
    for (let p = 0; p < n; p++) {
      sum += (transposed === "a" ? a[p * n + i] : a[i * n + p]) * (transposed === "b" ? b[j * n + p] : b[p * n + j]);
    }
    return sum;
  });
}

const largest = (x: Float64Array) => x.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
const distance = (a: Float64Array, b: Float64Array) => largest(a.map((x, i) => x - b[i]));
const size = fc.integer({ min: 1, max: 24 });
const seed = fc.integer({ min: 0, max: 1e6 });

describe("accumulateGram", () => {
  it("adds factor x^T x to both triangles, in any parts", () => {
    const [rows, cols] = [9, 5];
    const x = normals(rows * cols, 3);
    const whole = new Float32Array(cols * cols);
    accumulateGram(x, rows, cols, 2, whole);
    const byHand = Float32Array.from({ length: cols * cols }, (_, at) => {
      let sum = 0;
      for (let row = 0; row < rows; row++) sum += x[row * cols + Math.floor(at / cols)] * x[row * cols + (at % cols)];
      return sum;
    });
    for (let i = 0; i < cols * cols; i++) expect(Math.abs(whole[i] - 2 * byHand[i])).toBeLessThan(1e-5);
    const parts = new Float32Array(cols * cols);
    accumulateGram(x.subarray(0, 4 * cols), 4, cols, 2, parts);
    accumulateGram(x.subarray(4 * cols), rows - 4, cols, 2, parts);
    for (let i = 0; i < cols * cols; i++) expect(Math.abs(whole[i] - parts[i])).toBeLessThan(1e-5);
  });
});

describe("cholesky", () => {
  it("gives a lower factor whose square is the matrix", () => {
    fc.assert(
      fc.property(size, seed, (n, from) => {
        const a = positiveDefinite(n, from);
        const l = a.slice();
        expect(cholesky(l, n)).toBe(true);
        for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) expect(l[i * n + j]).toBe(0);
        expect(distance(product(l, l, n, "b"), a)).toBeLessThanOrEqual(n * 2 ** -52 * largest(a));
      }),
      { numRuns: 40 },
    );
  });

  it("factors a known matrix", () => {
    const l = Float64Array.of(4, 2, 2, 10);
    expect(cholesky(l, 2)).toBe(true);
    expect(l).toEqual(Float64Array.of(2, 0, 1, 3));
  });

  it("says where a matrix is not positive definite", () => {
    expect(cholesky(Float64Array.of(1, 2, 2, 1), 2)).toBe(false);
    expect(cholesky(Float64Array.of(0), 1)).toBe(false);
    expect(cholesky(Float64Array.of(Number.NaN), 1)).toBe(false);
    expect(inverseUpperFactor(Float64Array.of(1, 2, 2, 1), 2)).toBe(false);
  });
});

describe("inverseUpperFactor", () => {
  it("gives the upper factor of the inverse: u a u^T = I", () => {
    fc.assert(
      fc.property(size, seed, (n, from) => {
        const a = positiveDefinite(n, from, n);
        const u = a.slice();
        expect(inverseUpperFactor(u, n)).toBe(true);
        for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) expect(u[i * n + j]).toBe(0);
        const identity = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
        const bound = 8 * n * n * 2 ** -52 * largest(a) * largest(u) ** 2;
        expect(distance(product(product(u, a, n, "none"), u, n, "b"), identity)).toBeLessThanOrEqual(bound);
      }),
      { numRuns: 40 },
    );
  });

  it("gives that of a known matrix", () => {
    // The inverse of [[4, 2], [2, 10]] is [[10, -2], [-2, 4]] / 36.
    const u = Float64Array.of(4, 2, 2, 10);
    expect(inverseUpperFactor(u, 2)).toBe(true);
    const [first, second] = [Math.sqrt(10) / 6, -2 / 36 / (Math.sqrt(10) / 6)];
    const expected = [first, second, 0, Math.sqrt(4 / 36 - second * second)];
    for (let i = 0; i < 4; i++) expect(u[i]).toBeCloseTo(expected[i], 15);
  });
});
