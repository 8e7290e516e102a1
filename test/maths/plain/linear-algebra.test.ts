import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  accumulateGram,
  cholesky,
  choleskyInverse,
  gemm,
  inverseUpperFactor,
} from "../../../src/maths/plain/linear-algebra.ts";
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

describe("gemm", () => {
  it("multiplies a small example, added to c or not", () => {
    const [a, b] = [Float32Array.of(1, 2, 3, 4, 5, 6), Float32Array.of(1, 0, -1, 2, 0.5, 1)];
    const c = Float32Array.of(10, 10, 10, 10);
    gemm({ m: 2, n: 2, k: 3, a, b, c });
    expect(c).toEqual(Float32Array.of(0.5, 7, 2, 16));
    gemm({ m: 2, n: 2, k: 3, a, b, c, accumulate: true });
    expect(c).toEqual(Float32Array.of(1, 14, 4, 32));
  });

  it("gives the same for transposed operands", () => {
    fc.assert(
      fc.property(size, size, size, seed, (m, n, k, from) => {
        const [a, b] = [normals(m * k, from), normals(k * n, from + 1)];
        const turn = (x: Float32Array, rows: number, cols: number) =>
          x.map((_, i) => x[(i % rows) * cols + Math.floor(i / rows)]);
        const plain = new Float32Array(m * n);
        gemm({ m, n, k, a, b, c: plain });
        for (const [transposeA, transposeB] of [
          [true, false],
          [false, true],
          [true, true],
        ]) {
          const c = new Float32Array(m * n);
          const operands = { a: transposeA ? turn(a, m, k) : a, b: transposeB ? turn(b, k, n) : b };
          gemm({ m, n, k, ...operands, c, transposeA, transposeB });
          expect(c).toEqual(plain);
        }
      }),
      { numRuns: 30 },
    );
  });

  it("refuses arrays that do not fit", () => {
    const x = new Float32Array(4);
    expect(() => gemm({ m: 2, n: 2, k: 3, a: x, b: x, c: x })).toThrow("a: expected 6 numbers, found 4");
  });
});

describe("accumulateGram", () => {
  it("adds factor x^T x to both triangles, in any parts", () => {
    const [rows, cols] = [9, 5];
    const x = normals(rows * cols, 3);
    const whole = new Float32Array(cols * cols);
    accumulateGram(x, rows, cols, 2, whole);
    const byHand = new Float32Array(cols * cols);
    gemm({ m: cols, n: cols, k: rows, a: x, b: x, c: byHand, transposeA: true });
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

describe("choleskyInverse and inverseUpperFactor", () => {
  it("invert: a a^-1 = I and u^T u = a^-1", () => {
    fc.assert(
      fc.property(size, seed, (n, from) => {
        const a = positiveDefinite(n, from, n);
        const inverse = a.slice();
        cholesky(inverse, n);
        choleskyInverse(inverse, n);
        const identity = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
        const bound = 8 * n * n * 2 ** -52 * largest(a) * largest(inverse);
        expect(distance(product(a, inverse, n, "none"), identity)).toBeLessThanOrEqual(bound);
        const u = a.slice();
        expect(inverseUpperFactor(u, n)).toBe(true);
        for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) expect(u[i * n + j]).toBe(0);
        expect(distance(product(u, u, n, "a"), inverse)).toBeLessThanOrEqual(bound * largest(inverse));
      }),
      { numRuns: 40 },
    );
  });

  it("inverts a known matrix", () => {
    const l = Float64Array.of(2, 0, 1, 3);
    choleskyInverse(l, 2);
    const expected = [10 / 36, -2 / 36, -2 / 36, 4 / 36];
    for (let i = 0; i < 4; i++) expect(l[i]).toBeCloseTo(expected[i], 15);
  });
});
