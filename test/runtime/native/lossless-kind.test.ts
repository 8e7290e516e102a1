import fc from "fast-check";
import { expect, it } from "vitest";
import { losslessKind } from "../../../src/runtime/native/lossless-kind.ts";
import { roundToBf16, roundToF16 } from "../../../src/tensor/half.ts";

const bits = fc.integer({ min: 0, max: 0xffffffff });
const ofBits = (value: number) => new Float32Array(Uint32Array.of(value).buffer)[0];
/** Any f32 but infinities and NaN; half of them in the range of f16 and short. */
const numbers = fc
  .oneof(
    bits,
    fc
      .tuple(fc.integer({ min: 95, max: 145 }), bits, fc.integer({ min: 0, max: 23 }))
      .map(
        ([exponent, value, kept]) =>
          ((value & 0x80000000) | (exponent << 23) | (value & 0x7fffff & ~((1 << (23 - kept)) - 1))) >>> 0,
      ),
  )
  .map(ofBits)
  .filter(Number.isFinite);

it("names a kind only where rounding to it changes no number", () => {
  let found = new Set<string>();
  fc.assert(
    fc.property(fc.array(numbers, { minLength: 1, maxLength: 3 }), (values) => {
      const array = Float32Array.from(values);
      const fits = (round: (x: number) => number) => array.every((x) => Object.is(round(x), x));
      const expected = fits(roundToBf16) ? "bf16" : fits(roundToF16) ? "f16" : "f32";
      expect(losslessKind(array)).toBe(expected);
      found = found.add(expected);
    }),
    { numRuns: 3000 },
  );
  expect(found.size).toBe(3);
});

it.each([
  [2 ** -24, "bf16"],
  [3 * 2 ** -24, "bf16"],
  [(1 + 2 ** -9) * 2 ** -14, "f16"],
  [(1 + 2 ** -10) * 2 ** -15, "f32"],
  [65504, "f16"],
  [1023 * 2 ** -24, "f16"],
  [1 + 2 ** -10, "f16"],
  [1 + 2 ** -11, "f32"],
  [-0, "bf16"],
])("%d is %s", (value, kind) => {
  expect(losslessKind(Float32Array.of(value))).toBe(kind);
});
