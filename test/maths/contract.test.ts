import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CODECS } from "../../src/codecs/index.ts";
import type { GptqOptions } from "../../src/maths/maths.ts";
import { inverseUpperFactor } from "../../src/maths/plain/linear-algebra.ts";
import { multiply } from "../../src/maths/plain/multiply.ts";
import { aligned } from "../../src/native/aligned.ts";
import { ADDON_STATE, normals } from "../native/engines.ts";
import { expectClose, positiveDefinite, SIZES, shuffled } from "../native/offline-numbers.ts";
import { ALL_MATHS, NATIVES, sameOnAll } from "./all-maths.ts";

describe.each(ALL_MATHS)(`maths: $name (${ADDON_STATE})`, ({ maths }) => {
  it("accumulateGram: |h - exact| <= (258 + parts) 2^-24 (|h0| + factor sum |x x|) for parts of 256 rows", async () => {
    for (const [rows, cols] of [
      [1, 1],
      [255, 7],
      [257, 40],
      [600, 113],
      [40, 200],
    ]) {
      const x = normals(rows * cols, "x");
      const h0 = Float32Array.from(positiveDefinite(cols, "h"));
      const factor = 0.3;
      const found = h0.slice();
      await maths.accumulateGram(x, rows, cols, factor, found);
      const rounded = Math.fround(factor);
      expectClose(found, (at) => {
        const [i, j] = [Math.floor(at / cols), at % cols];
        let [sum, size] = [0, 0];
        for (let row = 0; row < rows; row++) {
          const term = x[row * cols + i] * x[row * cols + j];
          sum += term;
          size += Math.abs(term);
        }
        const bound = (258 + Math.ceil(rows / 256)) * 2 ** -24 * (Math.abs(h0[at]) + rounded * size);
        return { value: h0[at] + rounded * sum, bound };
      });
      for (let i = 0; i < cols; i++) for (let j = 0; j < i; j++) expect(found[i * cols + j]).toBe(found[j * cols + i]);
    }
  });

  it("multiply: |c - exact| <= (depth + 1) 2^-24 (|c0| + sum |a b|), transposed, strided, added or not", async () => {
    for (const [rows, cols, depth] of [
      [1, 1, 1],
      [7, 17, 5],
      [97, 33, 300],
      [6, 16, 513],
    ]) {
      for (let form = 0; form < 8; form++) {
        const [transposedA, transposedB, accumulate] = [form & 1, form & 2, form & 4].map((bit) => bit > 0);
        const [highA, wideA] = transposedA ? [depth, rows] : [rows, depth];
        const [highB, wideB] = transposedB ? [cols, depth] : [depth, cols];
        const [strideA, strideB, strideC] = [wideA + 3, wideB, cols + 1];
        const a = normals((highA - 1) * strideA + wideA, "a");
        const b = normals(highB * wideB, "b");
        const before = normals((rows - 1) * strideC + cols, "c");
        const c = before.slice();
        await maths.multiply({ a, b, c, rows, cols, depth, transposedA, transposedB, accumulate, strideA, strideC });
        expectClose(c, (at) => {
          const [row, col] = [Math.floor(at / strideC), at % strideC];
          if (col === cols) return { value: before[at], bound: 0 };
          let [value, size] = accumulate ? [before[at], Math.abs(before[at])] : [0, 0];
          for (let i = 0; i < depth; i++) {
            const term =
              a[transposedA ? i * strideA + row : row * strideA + i] *
              b[transposedB ? col * strideB + i : i * strideB + col];
            value += term;
            size += Math.abs(term);
          }
          return { value, bound: (depth + 1) * 2 ** -24 * size };
        });
      }
    }
  });

  it("multiply: refuses arrays that are not as long as from their first number to their last", async () => {
    const array = (length: number) => new Float32Array(length);
    const product = { a: array(6), b: array(6), c: array(4), rows: 2, cols: 2, depth: 3 };
    await maths.multiply(product);
    for (const wrong of [{ a: array(5) }, { b: array(7) }, { c: array(3) }, { strideA: 4 }, { strideC: 1 }]) {
      await expect(async () => maths.multiply({ ...product, ...wrong })).rejects.toThrow(RangeError);
    }
  });

  it("multiplyPacked and its transpose: the products of the unpacked matrix", async () => {
    const [rows, cols, n] = [37, 70, 5];
    for (const id of ["bf16", "f32"] as const) {
      const codec = CODECS[id];
      const values = normals(rows * cols, "w");
      const bytes = aligned(codec.pack({ kind: "float", rows, cols, values }));
      const w = { codec, rows, cols, bytes };
      const dense = codec.unpackRows(w, 0, rows);
      const [x, dy] = [normals(n * cols, "x"), normals(n * rows, "dy")];
      const [y, dx] = [new Float32Array(n * rows), new Float32Array(n * cols)];
      await maths.multiplyPacked(w, x, y);
      await maths.multiplyPackedTransposed(w, dy, dx);
      const [wantedY, wantedX] = [new Float32Array(n * rows), new Float32Array(n * cols)];
      multiply({ a: x, b: dense, c: wantedY, rows: n, cols: rows, depth: cols, transposedB: true });
      multiply({ a: dy, b: dense, c: wantedX, rows: n, cols, depth: rows });
      const bound = (cols + rows) * 2 ** -22;
      expectClose(y, (at) => ({ value: wantedY[at], bound: bound * 8 }));
      expectClose(dx, (at) => ({ value: wantedX[at], bound: bound * 8 }));
    }
  });

  it("inverseUpperFactor: u h u^T = I, and false where h is not positive definite, early and late", async () => {
    const n = 130;
    const h = positiveDefinite(n, "h");
    const u = h.slice();
    expect(await maths.inverseUpperFactor(u, n)).toBe(true);
    for (let i = 0; i < n; i += 17) {
      // Row i of u h, whose product with row j of u is 1 for i = j, else 0.
      const row = Float64Array.from({ length: n }, (_, j) =>
        u.subarray(i * n, i * n + n).reduce((s, x, p) => s + x * h[p * n + j], 0),
      );
      for (let j = 0; j < n; j++) {
        const product = row.reduce((s, x, p) => s + x * u[j * n + p], 0);
        expect(Math.abs(product - (i === j ? 1 : 0))).toBeLessThan(1e-9);
      }
    }
    for (const bad of [0, 50, 120, 199]) {
      const a = positiveDefinite(200, "bad");
      a[bad * 201] = -1;
      expect(await maths.inverseUpperFactor(a, 200)).toBe(false);
    }
  });

  it("hessianError: the mean over rows of d gram d^T to 5 digits", async () => {
    const [rows, cols] = [300, 70];
    const [w, values] = [normals(rows * cols, "w"), normals(rows * cols, "values")];
    const gram = Float32Array.from(positiveDefinite(cols, "gram"));
    let expected = 0;
    for (let row = 0; row < rows; row++) {
      const d = Float64Array.from({ length: cols }, (_, i) => w[row * cols + i] - values[row * cols + i]);
      for (let i = 0; i < cols; i++) {
        for (let j = 0; j < cols; j++) expected += (d[i] * gram[i * cols + j] * d[j]) / rows;
      }
    }
    expect((await maths.hessianError({ w, values, gram, rows, cols })) / expected).toBeCloseTo(1, 5);
  });
});

describe.skipIf(NATIVES.length === 0)(`the same bits by all maths (${ADDON_STATE})`, () => {
  it("accumulateGram and hessianError: by all tables and threads", async () => {
    for (const [rows, cols] of [
      [257, 40],
      [600, 113],
    ]) {
      const [x, values] = [normals(rows * cols, "x"), normals(rows * cols, "values")];
      const gram = Float32Array.from(positiveDefinite(cols, "h"));
      await sameOnAll(async (maths) => {
        const h = gram.slice();
        await maths.accumulateGram(x, rows, cols, 0.3, h);
        return h;
      }, NATIVES);
      const error = { w: x, values, gram, rows, cols };
      await sameOnAll(async (maths) => Float64Array.of(await maths.hessianError(error)), NATIVES);
    }
  });

  it("inverseUpperFactor: those of the plain loops, around the sides of tiles and blocks", async () => {
    for (const n of SIZES) {
      const a = positiveDefinite(n, `a${n}`);
      await sameOnAll(async (maths) => {
        const x = a.slice();
        expect(await maths.inverseUpperFactor(x, n)).toBe(true);
        return x;
      });
    }
  });

  it("gptq: for any bits, groups and order", async () => {
    const form = fc.record({ bits: fc.constantFrom(2, 3, 4, 5, 6, 8), group: fc.constantFrom(0, 32, 64) });
    const [rowCount, colCount] = [fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 170 })];
    await fc.assert(
      fc.asyncProperty(rowCount, colCount, form, fc.boolean(), async (rows, cols, { bits, group }, asymmetric) => {
        const groups = group === 0 ? 1 : Math.ceil(cols / group);
        const u = positiveDefinite(cols, "u");
        inverseUpperFactor(u, cols);
        const given: Omit<GptqOptions, "w" | "codes"> = {
          ...{ rows, cols, u, bits, group, levels: null, order: shuffled(cols, "order") },
          scales: normals(rows * groups, "scales", 0.2).map((x, i) => (i % 9 === 4 ? 0 : x)),
          minima: asymmetric ? normals(rows * groups, "minima") : null,
        };
        await sameOnAll(async (maths) => {
          const [w, codes] = [normals(rows * cols, "w"), new Uint8Array(rows * cols)];
          await maths.gptq({ ...given, w, codes });
          return Uint8Array.from([...codes, ...new Uint8Array(w.buffer)]);
        });
      }),
      { numRuns: 25 },
    );
  });
});
