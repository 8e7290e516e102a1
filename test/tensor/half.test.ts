import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  bf16ToF32,
  bf16ToF32Array,
  f16ToF32,
  f16ToF32Array,
  f32ToBf16,
  f32ToBf16Array,
  f32ToF16,
  f32ToF16Array,
  roundToBf16,
  roundToF16,
} from "../../src/tensor/half.ts";

/** Value of f16 bits by the definition of the format. */
function f16ByDefinition(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The bits among `candidates` (finite values) nearest to x; a tie goes to the even code. */
function nearestCode(x: number, value: (bits: number) => number, codes: number): number {
  let low = 0;
  let high = codes;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (value(middle) <= x) low = middle;
    else high = middle;
  }
  const below = x - value(low);
  const above = value(low + 1) - x;
  if (below === above) return low % 2 === 0 ? low : low + 1;
  return below < above ? low : low + 1;
}

const positiveF32 = fc.float({ min: 0, noNaN: true, noDefaultInfinity: true });

describe("f16", () => {
  test("all 65,536 codes widen as the format defines and narrow back to themselves", () => {
    const codes = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    const wide = f16ToF32Array(codes);
    const back = f32ToF16Array(wide);
    for (let bits = 0; bits < 65536; bits++) {
      const expected = f16ByDefinition(bits);
      if (!Object.is(wide[bits], expected)) throw new Error(`code ${bits}: ${wide[bits]}, not ${expected}`);
      if (Number.isNaN(expected) ? !Number.isNaN(f16ToF32(back[bits])) : back[bits] !== bits) {
        throw new Error(`code ${bits} came back as ${back[bits]}`);
      }
    }
    expect(Object.is(f16ToF32(0x8000), -0)).toBe(true);
  });

  test("narrowing takes the nearest code, ties to even", () => {
    const finite = (bits: number) => (bits === 0x7c00 ? 65536 : f16ByDefinition(bits));
    fc.assert(
      fc.property(fc.oneof(positiveF32, fc.float({ min: 0, max: 2 ** 17, noNaN: true })), (x) => {
        const expected = x >= 65520 ? 0x7c00 : nearestCode(x, finite, 0x7c00);
        expect(f32ToF16(x)).toBe(expected);
        expect(f32ToF16(-x)).toBe(expected | 0x8000);
      }),
      { numRuns: 3000 },
    );
  });

  test("every midpoint between neighbouring codes goes to the even one", () => {
    for (let bits = 0; bits < 0x7bff; bits++) {
      const middle = (f16ByDefinition(bits) + f16ByDefinition(bits + 1)) / 2;
      if (f32ToF16(middle) !== bits + (bits % 2)) throw new Error(`midpoint above code ${bits}`);
    }
    expect(f32ToF16(65519.99609375)).toBe(0x7bff);
    expect(f32ToF16(65520)).toBe(0x7c00);
  });

  test("infinities and NaN", () => {
    expect(f32ToF16(Number.POSITIVE_INFINITY)).toBe(0x7c00);
    expect(f32ToF16(Number.NEGATIVE_INFINITY)).toBe(0xfc00);
    expect(roundToF16(Number.NaN)).toBeNaN();
    expect(roundToF16(0.1)).toBe(0.0999755859375);
  });
});

describe("bf16", () => {
  const value = (bits: number) => new Float32Array(new Uint32Array([bits << 16]).buffer)[0];

  test("all 65,536 codes widen and narrow back to themselves", () => {
    const codes = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    const wide = bf16ToF32Array(codes);
    const back = f32ToBf16Array(wide);
    for (let bits = 0; bits < 65536; bits++) {
      if (!Object.is(wide[bits], value(bits))) throw new Error(`code ${bits}`);
      if (Number.isNaN(wide[bits]) ? !Number.isNaN(bf16ToF32(back[bits])) : back[bits] !== bits) {
        throw new Error(`code ${bits} came back as ${back[bits]}`);
      }
    }
  });

  test("narrowing takes the nearest code, ties to even, and overflows to infinity", () => {
    const finite = (bits: number) => (bits === 0x7f80 ? 2 ** 128 : value(bits));
    fc.assert(
      fc.property(positiveF32, (x) => {
        const expected = nearestCode(x, finite, 0x7f80);
        expect(f32ToBf16(x)).toBe(expected);
        expect(f32ToBf16(-x)).toBe(expected | 0x8000);
      }),
      { numRuns: 3000 },
    );
    expect(f32ToBf16(3.4028234663852886e38)).toBe(0x7f80);
    expect(roundToBf16(Number.NaN)).toBeNaN();
    expect(roundToBf16(1.00390625)).toBe(1);
    expect(roundToBf16(1.01171875)).toBe(1.015625);
  });
});

describe("arrays", () => {
  test("array and scalar versions agree, into given arrays that lie inside larger buffers", () => {
    fc.assert(
      fc.property(fc.float32Array({ maxLength: 40 }), (values) => {
        const source = new Float32Array(new ArrayBuffer(values.byteLength + 8), 4, values.length);
        source.set(values);
        const out = new Uint16Array(new ArrayBuffer(values.length * 2 + 4), 2, values.length);
        expect(f32ToF16Array(source, out)).toBe(out);
        expect([...out]).toEqual([...values].map(f32ToF16));
        const wide = new Float32Array(new ArrayBuffer(values.byteLength + 8), 4, values.length);
        expect(f16ToF32Array(out, wide)).toBe(wide);
        expect([...wide]).toEqual([...values].map(roundToF16));
        expect([...f32ToBf16Array(source, out)]).toEqual([...values].map(f32ToBf16));
        expect([...bf16ToF32Array(out, wide)]).toEqual([...values].map(roundToBf16));
      }),
    );
  });

  test("an output of another length is refused", () => {
    expect(() => f16ToF32Array(new Uint16Array(3), new Float32Array(2))).toThrow(RangeError);
    expect(() => f32ToBf16Array(new Float32Array(3), new Uint16Array(4))).toThrow(RangeError);
  });
});
