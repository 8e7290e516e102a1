import fc from "fast-check";
import { expect, it } from "vitest";
import { exponentials } from "../../../../src/training/tuning/block/exponentials.ts";

it("e^(x - shift) within 2^-22 of itself, 0 below the normal numbers, and their sum", () => {
  fc.assert(
    fc.property(
      fc.array(fc.float({ min: -120, max: 0, noNaN: true }), { minLength: 1 }),
      fc.float({ min: -5, max: 5, noNaN: true }),
      (below, shift) => {
        const x = Float32Array.from(below, (one) => one + shift);
        const given = x.slice();
        const sum = exponentials(x, 0, x.length, shift + 1e-5);
        for (const [i, found] of x.entries()) {
          const t = given[i] - (shift + 1e-5);
          if (t < -87) expect(found).toBe(0);
          else expect(Math.abs(found / Math.exp(t) - 1)).toBeLessThan(2 ** -22);
        }
        expect(sum).toBeCloseTo(
          x.reduce((total, one) => total + one, 0),
          4,
        );
      },
    ),
  );
});

it("changes nothing outside its range, and hands NaN on", () => {
  const x = Float32Array.of(-1, Number.NaN, -3);
  expect(exponentials(x, 1, 2, 0)).toBeNaN();
  expect([x[0], x[2]]).toEqual([-1, -3]);
  expect(x[1]).toBeNaN();
});
