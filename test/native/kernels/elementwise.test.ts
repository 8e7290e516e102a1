import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { f16ToF32Array, f32ToF16Array } from "../../../src/tensor/half.ts";
import { Random } from "../../../src/tensor/random.ts";
import { expectBits, expectWithin, normals } from "../engines.ts";
import { ACTIVATION_BOUNDS, normalTail } from "../references/activations.ts";
import { layerNormTwin, rmsNormTwin, rotateTwin, type Twin } from "../references/norms.ts";
import { quantizeRows } from "../references/quantize-rows.ts";
import { HAS_KERNELS, KERNELS_STATE, onEveryTable } from "./tables.ts";

const LENGTHS = [1, 2, 7, 15, 16, 17, 31, 33, 64, 100, 576];
/** Floats of every size and sign, all exponents alike. */
const anyFloat = fc.float({ noNaN: true, noDefaultInfinity: true });
const activations = ["silu", "gelu-erf", "gelu-tanh", "relu"] as const;

function expectTwin(found: Float32Array, { bits, exact, bounds }: Twin, what: string): void {
  expectBits(found, bits, what);
  expectWithin(found, { values: exact, bounds }, what);
}

describe.skipIf(!HAS_KERNELS)(`kernels over rows (${KERNELS_STATE})`, () => {
  it("quantizeRows gives levels, scales and sums of the definition", () => {
    const check = (x: Float32Array, rows: number, cols: number, what: string) => {
      const expected = quantizeRows(x, rows, cols);
      const part = (name: "levels" | "scales" | "sums") =>
        expectBits(
          onEveryTable((kernels) => kernels.quantizeRows(x, rows, cols)[name]),
          expected[name],
          `${name} of ${what}`,
        );
      part("levels");
      part("scales");
      part("sums");
    };
    for (const rows of [1, 2, 5]) {
      for (const cols of LENGTHS) check(normals(rows * cols, "x"), rows, cols, `${rows} x ${cols}`);
    }
    // Ties between two levels: 127 is the largest, so that the scale is 1.
    const halves = Float32Array.from({ length: 64 }, (_, i) => (i === 0 || i === 32 ? 127 : (i - 30) / 2));
    check(halves, 1, 64, "ties");
    for (const size of [0, 1e-45, 127 * 2 ** -126, 126 * 2 ** -126, 1e-20, 1e20, 3e38]) {
      check(
        Float32Array.of(...normals(40, "x").map((value) => Math.max(-1, Math.min(1, value)) * size)),
        1,
        40,
        `${size}`,
      );
    }
    fc.assert(
      fc.property(fc.array(anyFloat, { minLength: 1, maxLength: 70 }), (x) => {
        check(Float32Array.from(x), 1, x.length, `${x}`);
      }),
    );
  });

  it("norms and rotation give the bits of their definition, within the bound of exact arithmetic", () => {
    for (const n of LENGTHS) {
      for (const scale of [1e-6, 1, 1e4]) {
        const x = normals(n, "x", scale);
        const [weight, bias] = [normals(n, "weight"), normals(n, "bias")];
        const rms = onEveryTable((kernels) => kernels.rmsNorm(x, weight, 1e-6));
        expectTwin(rms, rmsNormTwin(x, weight, 1e-6), `rms norm of ${n} at ${scale}`);
        const layer = onEveryTable((kernels) => kernels.layerNorm(x, weight, bias, 1e-5));
        expectTwin(layer, layerNormTwin(x, weight, bias, 1e-5), `layer norm of ${n} at ${scale}`);
        const angles = normals(n, "angles", 10);
        const [cos, sin] = [angles.map(Math.cos), angles.map(Math.sin)];
        const pairs = normals(2 * n, "pairs", scale);
        const turned = onEveryTable((kernels) => kernels.rotate(pairs, cos, sin));
        expectTwin(turned, rotateTwin(pairs, cos, sin), `rotation of ${n} pairs at ${scale}`);
      }
    }
  });

  it("a wrong eps or a weight off by 2^-16 is outside the bounds of a norm", () => {
    const [x, weight] = [normals(64, "x", 0.01), normals(64, "weight")];
    const found = onEveryTable((kernels) => kernels.rmsNorm(x, weight, 1e-6));
    const others = [
      rmsNormTwin(x, weight, 1.1e-6),
      rmsNormTwin(
        x,
        weight.map((w) => w * (1 + 2 ** -16)),
        1e-6,
      ),
    ];
    for (const { exact, bounds } of others) {
      expect(() => expectWithin(found, { values: exact, bounds }, "wrong")).toThrow(/within/);
    }
  });

  it.each(activations)("%s is within its bound everywhere", (kind) => {
    const random = new Random(5).fork(kind);
    const x = Float32Array.from({ length: 4001 }, (_, i) => (i % 2 ? 4 : 40) * random.nextNormal());
    x.set([0, -0, 1e-38, -1e-38, 1e-20, 87, 88, 89, 104, 105, -87, -88, -89, -104, -105, 1000, -1000, 1e6, -1e6]);
    const found = onEveryTable((kernels) => kernels.activate(kind, x));
    const reference = Array.from(x, ACTIVATION_BOUNDS[kind]);
    const values = Float64Array.from(reference, ({ value }) => value);
    const bounds = Float64Array.from(reference, ({ bound }) => bound);
    const used = expectWithin(found, { values, bounds }, kind);
    // The bound is no looser than a few times what happens.
    if (kind !== "relu") expect(used).toBeGreaterThan(0.1);
    const up = normals(x.length, "up");
    const gated = onEveryTable((kernels) => kernels.activateGated(kind, x, up));
    expectBits(
      gated,
      found.map((value, i) => value * up[i]),
      `gated ${kind}`,
    );
  });

  it("the references' tail of the normal distribution is right", () => {
    // Abramowitz and Stegun, table 26.2.
    expect(normalTail(0)).toBe(0.5);
    expect(normalTail(1)).toBeCloseTo(0.158655253931457, 14);
    expect(normalTail(3)).toBeCloseTo(0.00134989803163009, 16);
    expect(normalTail(5) / 2.8665157187919e-7).toBeCloseTo(1, 12);
    expect(normalTail(2.999999) / normalTail(3.000001)).toBeCloseTo(1, 4);
  });

  it("halves convert as src/tensor/half.ts does", () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const widened = onEveryTable((kernels) => kernels.fromF16(all).map((x) => (Number.isNaN(x) ? 0 : x)));
    expectBits(
      widened,
      f16ToF32Array(all).map((x) => (Number.isNaN(x) ? 0 : x)),
      "every half",
    );
    const nan = onEveryTable((kernels) => kernels.fromF16(all).map((x) => (Number.isNaN(x) ? 1 : 0)));
    expect(nan.reduce((sum, x) => sum + x, 0)).toBe(2 * 1023);
    // Each half, what lies halfway to the next, and a little on either side.
    const halves = f16ToF32Array(all).filter((x) => Number.isFinite(x));
    const between = Float32Array.from(halves, (x, i) => (x + (halves[i + 1] ?? 0)) / 2);
    const beside = (by: number) => between.map((x) => x * (1 + by));
    for (const numbers of [halves, between, beside(2 ** -23), beside(-(2 ** -23)), normals(1001, "x", 1e5)]) {
      const found = onEveryTable((kernels) => kernels.toF16(numbers));
      expectBits(found, f32ToF16Array(numbers), "to f16");
    }
    const special = Float32Array.of(Infinity, -Infinity, 65519.99, 65520, 1e-45, -1e-45, 2 ** -25, 2 ** -24, 0, -0);
    const found = onEveryTable((kernels) => kernels.toF16(special));
    expectBits(found, f32ToF16Array(special), "special numbers");
    for (const n of LENGTHS) {
      const x = normals(n, "x");
      expectBits(
        onEveryTable((kernels) => kernels.toF16(x)),
        f32ToF16Array(x),
        `${n} numbers`,
      );
    }
  });
});
