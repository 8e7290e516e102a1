import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gptqUpdate } from "../../src/maths/plain/gptq-update.ts";
import * as twin from "../../src/maths/plain/linear-algebra.ts";
import type { NativeEngine } from "../../src/native/addon.ts";
import { ADDON_STATE, engineOf, expectBits, HAS_ADDON, ISAS, normals } from "./engines.ts";
import { expectClose, positiveDefinite, SIZES, shuffled } from "./offline-numbers.ts";

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

const side = fc.integer({ min: 1, max: 70 });
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

  it("cholesky, choleskyInverse: the bits of the plain loops", async () => {
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
    }
  });

  it("cholesky says where a matrix is not positive definite, in the first block and later ones", async () => {
    for (const bad of [0, 50, 120, 199]) {
      const a = positiveDefinite(200, "bad");
      a[bad * 201] = -1;
      for (const engine of machines()) {
        expect(await engine.offline.cholesky(a.slice(), 200)).toBe(false);
      }
    }
  });

  it("gptq: the plain one's bytes for any block of columns", async () => {
    const [rows, cols, bits, group] = [19, 150, 4, 32];
    const u = positiveDefinite(cols, "u");
    twin.inverseUpperFactor(u, cols);
    const weights = normals(rows * cols, "w");
    const options = {
      ...{ rows, cols, u, bits, group, levels: null, minima: null, order: shuffled(cols, "order") },
      scales: normals(rows * Math.ceil(cols / group), "scales", 0.2),
    };
    const [w, expected] = [weights.slice(), new Uint8Array(rows * cols)];
    gptqUpdate({ ...options, w, codes: expected });
    for (const blockCols of [1, 7, 16, 40, 128, 500]) {
      const codes = await onAll(async (engine) => {
        const [values, found] = [weights.slice(), new Uint8Array(rows * cols)];
        await engine.offline.gptq({ ...options, w: values, codes: found, blockCols });
        return Uint8Array.from([...found, ...bytesOf(values)]);
      });
      expectBits(codes, Uint8Array.from([...expected, ...bytesOf(w)]), `blocks of ${blockCols}`);
    }
  });

  it("readBandwidth measures something that memory can do", async () => {
    const bytesPerSecond = await engineOf(ISAS[ISAS.length - 1], 2).readBandwidth(64 * 1024 * 1024);
    expect(bytesPerSecond).toBeGreaterThan(2e8);
    expect(bytesPerSecond).toBeLessThan(2e12);
  });
});
