import fc from "fast-check";
import { expect, it } from "vitest";
import { fma32, laneSum, roundHalfEven } from "./fma.ts";

/** a * b + c by whole numbers of 2^-448, rounded to nearest even at 24 bits: nothing in common with fma32. */
function slowFma(a: number, b: number, c: number): number {
  const exact = scaled(a) * scaled(b) + (scaled(c) << 224n);
  if (exact === 0n) return a * b + c;
  const magnitude = exact < 0n ? -exact : exact;
  // Weight of the last of 24 bits, at least f32's smallest subnormal 2^-149.
  const last = Math.max(magnitude.toString(2).length - 24, 448 - 149);
  const kept = magnitude >> BigInt(last);
  const rest = magnitude - (kept << BigInt(last));
  const half = 1n << BigInt(last - 1);
  const rounded = rest > half || (rest === half && kept & 1n) ? kept + 1n : kept;
  return Math.fround((exact < 0n ? -1 : 1) * Number(rounded) * 2 ** (last - 448));
}

/** An f32 number in units of 2^-224 (all but those below 2^-75 or so in magnitude are whole). */
function scaled(x: number): bigint {
  const [head, tail] = [Math.trunc(x), x - Math.trunc(x)];
  return (BigInt(head) << 224n) + BigInt(tail * 2 ** 224);
}

/** f32 numbers of some 30 binary orders, halves of which cancel well. */
const single = fc
  .tuple(fc.integer({ min: -(2 ** 24), max: 2 ** 24 }), fc.integer({ min: -40, max: 10 }))
  .map(([digits, exponent]) => digits * 2 ** exponent);

it("fma32 rounds once", () => {
  // 1 + 2^-24 + 2^-60: in two roundings the tie would go to even, 1.
  expect(fma32(1 + 2 ** -12, 1 - 2 ** -12, 0)).toBe(1 - 2 ** -24);
  expect(fma32(2 ** -30, 2 ** -30, 1 + 2 ** -23)).toBe(1 + 2 ** -23);
  expect(fma32(2 ** -12, 2 ** -12, 1)).toBe(1);
  expect(fma32(2 ** -12 + 2 ** -35, 2 ** -12, 1)).toBe(1 + 2 ** -23);
  fc.assert(
    fc.property(single, single, single, (a, b, c) => {
      expect(fma32(a, b, c)).toBe(slowFma(a, b, c));
    }),
  );
  // Near a tie of f32: c plus half of its last bit, plus a little or less a little.
  const little = fc.integer({ min: 1, max: 2 ** 23 });
  fc.assert(
    fc.property(single, little, fc.boolean(), (c, digits, up) => {
      const ulp = 2 ** (Math.floor(Math.log2(Math.abs(c) || 1)) - 23);
      const [a, b] = [1 + digits * 2 ** -23, (up ? ulp : -ulp) / 2];
      expect(fma32(a, b, c)).toBe(slowFma(a, b, c));
      expect(fma32(1 - digits * 2 ** -24, b, c)).toBe(slowFma(1 - digits * 2 ** -24, b, c));
    }),
  );
});

it("rounds halves to even, and sums in sixteen lanes", () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, 126.5, 2.49, 2.51].map((x) => roundHalfEven(x) + 0)).toEqual([
    0, 2, 2, 0, -2, 126, 2, 3,
  ]);
  expect(laneSum(100, (sum, i) => sum + i)).toBe(4950);
  // 2^24 + 1 is 2^24 in f32: lost where both meet in one lane, but not where 1 + 1 meet first.
  const sumOf = (numbers: Record<number, number>) => laneSum(32, (sum, i) => sum + (numbers[i] ?? 0));
  expect(sumOf({ 0: 2 ** 24, 16: 1, 3: 1 })).toBe(2 ** 24);
  expect(sumOf({ 0: 2 ** 24, 1: 1, 3: 1 })).toBe(2 ** 24 + 2);
});
