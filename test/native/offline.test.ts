import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { NativeEngine } from "../../src/native/addon.ts";
import { gptqUpdate } from "../../src/quantization/gptq-update.ts";
import { levelForm } from "../../src/quantization/level-table.ts";
import * as twin from "../../src/tensor/linear-algebra.ts";
import { Random } from "../../src/tensor/random.ts";
import { ADDON_STATE, engineOf, expectBits, HAS_ADDON, ISAS, normals } from "./engines.ts";

/** Every table that runs here on one thread, and the fastest on two and three. */
const machines = (): readonly NativeEngine[] => [
  ...ISAS.map((isa) => engineOf(isa)),
  engineOf(ISAS[ISAS.length - 1], 2),
  engineOf(ISAS[ISAS.length - 1], 3),
];

/** Runs on every machine, demands the same bits of all, and returns them. */
async function onAll<T extends Float32Array | Float64Array | Uint8Array>(
  run: (engine: NativeEngine) => Promise<T>,
): Promise<T> {
  const [first, ...others] = await Promise.all(machines().map(run));
  for (const other of others) expect(Buffer.compare(bytesOf(other), bytesOf(first))).toBe(0);
  return first;
}

const bytesOf = (x: Float32Array | Float64Array | Uint8Array) => new Uint8Array(x.buffer, x.byteOffset, x.byteLength);

/** |found - exact| within the bound a number, computed in double precision. */
function expectClose(found: Float32Array, exact: (at: number) => { value: number; bound: number }): void {
  for (let at = 0; at < found.length; at++) {
    const { value, bound } = exact(at);
    if (!(Math.abs(found[at] - value) <= bound)) expect.fail(`[${at}] ${found[at]}: expected ${value} within ${bound}`);
  }
}

/** g g^T + n I: symmetric to the bit and positive definite. */
function positiveDefinite(n: number, name: string): Float64Array {
  const g = normals(n * n, name);
  const a = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = i === j ? n : 0;
      for (let p = 0; p < n; p++) sum += g[i * n + p] * g[j * n + p];
      a[i * n + j] = sum;
      a[j * n + i] = sum;
    }
  }
  return a;
}

/** 0 … n - 1 shuffled. */
function shuffled(n: number, name: string): Int32Array {
  const random = new Random(5).fork(name);
  const order = Int32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const other = random.nextInt(i + 1);
    [order[i], order[other]] = [order[other], order[i]];
  }
  return order;
}

const side = fc.integer({ min: 1, max: 70 });
/** Sides around those of tiles, blocks and parts. */
const SIZES = [1, 5, 6, 7, 8, 9, 23, 24, 25, 95, 96, 97, 130, 200];

describe.skipIf(!HAS_ADDON)(`offline maths (${ADDON_STATE})`, () => {
  it("gemm: |c - exact| <= (k + 1) 2^-24 (|c0| + sum |a b|), any operands transposed", async () => {
    const shapes = fc.record({ m: side, n: side, k: fc.integer({ min: 1, max: 600 }) });
    const flags = fc.record({ transposeA: fc.boolean(), transposeB: fc.boolean(), accumulate: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(shapes, flags, async ({ m, n, k }, { transposeA, transposeB, accumulate }) => {
        const [a, b, c0] = [normals(m * k, "a"), normals(k * n, "b"), normals(m * n, "c")];
        const options = { m, n, k, a, b, transposeA, transposeB, accumulate };
        const found = await onAll(async (engine) => {
          const c = c0.slice();
          await engine.offline.gemm({ ...options, c });
          return c;
        });
        expectClose(found, (at) => {
          const [i, j] = [Math.floor(at / n), at % n];
          let value = accumulate ? c0[at] : 0;
          let size = Math.abs(value);
          for (let p = 0; p < k; p++) {
            const term = (transposeA ? a[p * m + i] : a[i * k + p]) * (transposeB ? b[j * k + p] : b[p * n + j]);
            value += term;
            size += Math.abs(term);
          }
          return { value, bound: (k + 1) * 2 ** -24 * size };
        });
      }),
      { numRuns: 15 },
    );
  });

  it("gemm: blocks of every kind meet, against the twin", async () => {
    for (const [m, n, k] of [
      [1600, 3, 300],
      [3, 4200, 270],
      [97, 129, 513],
    ]) {
      const [a, b] = [normals(m * k, "a"), normals(k * n, "b")];
      const found = await onAll(async (engine) => {
        const c = new Float32Array(m * n);
        await engine.offline.gemm({ m, n, k, a, b, c });
        return c;
      });
      const expected = new Float32Array(m * n);
      twin.gemm({ m, n, k, a, b, c: expected });
      // sum |a b| of standard normals is k 2 / pi on average, and below k here.
      expectClose(found, (at) => ({ value: expected[at], bound: (k + 2) * 2 ** -24 * k }));
    }
  });

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
      const found = await onAll(async (engine) => {
        const h = h0.slice();
        await engine.offline.accumulateGram(x, rows, cols, factor, h);
        return h;
      });
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

  it("cholesky, choleskyInverse, inverseUpperFactor: the bits of the plain loops", async () => {
    for (const n of SIZES) {
      const a = positiveDefinite(n, `a${n}`);
      const l = await onAll(async (engine) => {
        const factor = a.slice();
        expect(await engine.offline.cholesky(factor, n)).toBe(true);
        return factor;
      });
      const expected = a.slice();
      expect(twin.cholesky(expected, n)).toBe(true);
      expect(l).toEqual(expected);
      const inverse = await onAll(async (engine) => {
        const x = l.slice();
        await engine.offline.choleskyInverse(x, n);
        return x;
      });
      twin.choleskyInverse(expected, n);
      expect(inverse).toEqual(expected);
      const u = await onAll(async (engine) => {
        const x = a.slice();
        expect(await engine.offline.inverseUpperFactor(x, n)).toBe(true);
        return x;
      });
      const factor = a.slice();
      twin.inverseUpperFactor(factor, n);
      expect(u).toEqual(factor);
    }
  });

  it("cholesky says where a matrix is not positive definite, in the first block and later ones", async () => {
    for (const bad of [0, 50, 120, 199]) {
      const a = positiveDefinite(200, "bad");
      a[bad * 201] = -1;
      for (const engine of machines()) {
        expect(await engine.offline.cholesky(a.slice(), 200)).toBe(false);
        expect(await engine.offline.inverseUpperFactor(a.slice(), 200)).toBe(false);
      }
    }
  });

  it("gptq: the bytes of its twin for any bits, groups, order and blocks", async () => {
    const blocks = fc.constantFrom(1, 7, 16, 40, 128, 500);
    const form = fc.record({ bits: fc.constantFrom(2, 3, 4, 5, 6, 8), group: fc.constantFrom(0, 32, 64) });
    await fc.assert(
      fc.asyncProperty(side, fc.integer({ min: 1, max: 170 }), form, blocks, fc.boolean(), async (...run) => {
        const [rows, cols, { bits, group }, blockCols, asymmetric] = run;
        const groups = group === 0 ? 1 : Math.ceil(cols / group);
        const u = positiveDefinite(cols, "u");
        twin.inverseUpperFactor(u, cols);
        const weights = normals(rows * cols, "w");
        const options = {
          rows,
          cols,
          u,
          bits,
          group,
          scales: normals(rows * groups, "scales", 0.2).map((x, i) => (i % 9 === 4 ? 0 : x)),
          minima: asymmetric ? normals(rows * groups, "minima") : null,
          order: shuffled(cols, "order"),
        };
        const codes = await onAll(async (engine) => {
          const [w, found] = [weights.slice(), new Uint8Array(rows * cols)];
          await engine.offline.gptq({ ...options, w, codes: found, blockCols });
          return Uint8Array.from([...found, ...bytesOf(w)]);
        });
        const [w, expected] = [weights.slice(), new Uint8Array(rows * cols)];
        gptqUpdate({ ...options, form: levelForm(bits, asymmetric, null), w, codes: expected });
        expectBits(codes, Uint8Array.from([...expected, ...bytesOf(w)]), "codes and values");
      }),
      { numRuns: 25 },
    );
  });

  it("readBandwidth measures something that memory can do", async () => {
    const bytesPerSecond = await engineOf(ISAS[ISAS.length - 1], 2).readBandwidth(64 * 1024 * 1024);
    expect(bytesPerSecond).toBeGreaterThan(2e8);
    expect(bytesPerSecond).toBeLessThan(2e12);
  });
});
