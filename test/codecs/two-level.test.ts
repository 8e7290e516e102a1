import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CODECS } from "../../src/codecs/index.ts";
import { rowScaleFor, scaleCodeFor, snapScales } from "../../src/codecs/two-level.ts";
import { roundToBf16, roundToF16 } from "../../src/tensor/half.ts";

const TWO_LEVEL = CODECS["q4t-g32-s8"];
const magnitude = fc.float({ min: 0, max: Math.fround(1e30), noNaN: true });

describe("a row's scale", () => {
  it("is the least bf16 number whose 127-fold reaches the largest scale", () => {
    fc.assert(
      fc.property(magnitude, (most) => {
        const unit = rowScaleFor(most);
        expect(roundToBf16(unit)).toBe(unit);
        expect(127 * unit).toBeGreaterThanOrEqual(most);
        // A step of bf16 is at most 1/128 of the number: a smaller one would not reach it.
        if (most > 1e-30) expect(127 * unit * (1 - 1 / 64)).toBeLessThan(most);
      }),
    );
    expect(rowScaleFor(127)).toBe(1);
    expect(rowScaleFor(127.5)).toBe(1 + 2 ** -7);
    expect(rowScaleFor(0)).toBe(0);
  });
});

describe("snapping", () => {
  it("gives whole multiples that packing takes, no further from what was wanted than half the row's scale", () => {
    const rows = fc.array(fc.array(fc.float({ min: -8, max: 8, noNaN: true }), { minLength: 3, maxLength: 3 }), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(rows, (wanted) => {
        const flat = Float32Array.from(wanted.flat());
        const { scales, rowScales } = snapScales(TWO_LEVEL, flat, 3);
        if (!rowScales) throw new Error("no row scales");
        expect(rowScales.length).toBe(wanted.length);
        flat.forEach((x, i) => {
          const unit = rowScales[Math.floor(i / 3)];
          expect(Math.abs(scales[i] - x)).toBeLessThanOrEqual(unit / 2);
          expect(scaleCodeFor(scales[i], unit) * unit).toBe(scales[i]);
        });
        const [count, cols] = [wanted.length, 80];
        const codes = new Uint8Array(count * cols);
        const numbers = { rows: count, cols, codes, scales, minima: null, rowScales, rowMinima: null };
        expect(() => TWO_LEVEL.pack({ kind: "integer", ...numbers })).not.toThrow();
      }),
    );
  });

  it("rounds to f16 where scales have one level", () => {
    const wanted = Float32Array.of(0.1, -3, 1e-9);
    expect(snapScales(CODECS["q4t-g32"], wanted, 1)).toEqual({ scales: wanted.map(roundToF16), rowScales: null });
  });

  it("takes ties to the even multiple, and keeps a row of zeros", () => {
    expect([0.5, 1.5, -0.5, 200, -200].map((x) => scaleCodeFor(x, 1))).toEqual([0, 2, 0, 127, -127]);
    expect(snapScales(TWO_LEVEL, new Float32Array(2), 2)).toEqual({
      scales: new Float32Array(2),
      rowScales: new Float32Array(1),
    });
  });
});
