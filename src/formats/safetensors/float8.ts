import type { Dtype } from "./dtypes.ts";

/** How an 8-bit float lays out its bits, and which codes are not numbers. */
interface Float8Layout {
  readonly exponentBits: number;
  readonly fractionBits: number;
  readonly bias: number;
  /** `ieee`: infinities and NaN as in f16; `fn`: NaN at all ones only; `fnuz`: NaN in place of minus zero. */
  readonly special: "ieee" | "fn" | "fnuz";
}

const LAYOUTS = {
  F8_E5M2: { exponentBits: 5, fractionBits: 2, bias: 15, special: "ieee" },
  F8_E4M3: { exponentBits: 4, fractionBits: 3, bias: 7, special: "fn" },
  F8_E5M2FNUZ: { exponentBits: 5, fractionBits: 2, bias: 16, special: "fnuz" },
  F8_E4M3FNUZ: { exponentBits: 4, fractionBits: 3, bias: 8, special: "fnuz" },
} as const satisfies Partial<Record<Dtype, Float8Layout>>;

function decode(code: number, layout: Float8Layout): number {
  const sign = code & 0x80 ? -1 : 1;
  const magnitude = code & 0x7f;
  const exponent = magnitude >> layout.fractionBits;
  const fraction = magnitude & ((1 << layout.fractionBits) - 1);
  if (layout.special === "fnuz" && code === 0x80) return Number.NaN;
  if (layout.special === "fn" && magnitude === 0x7f) return Number.NaN;
  if (layout.special === "ieee" && exponent === (1 << layout.exponentBits) - 1) {
    return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  }
  const one = 1 << layout.fractionBits;
  const significand = exponent === 0 ? fraction : one + fraction;
  return sign * significand * 2 ** (Math.max(exponent, 1) - layout.bias - layout.fractionBits);
}

function tableOf(layout: Float8Layout): Float32Array {
  return Float32Array.from({ length: 256 }, (_, code) => decode(code, layout));
}

/** Values of the 256 codes of each 8-bit float type; all are exact in f32. */
export const FLOAT8_VALUES = {
  F8_E5M2: tableOf(LAYOUTS.F8_E5M2),
  F8_E4M3: tableOf(LAYOUTS.F8_E4M3),
  F8_E5M2FNUZ: tableOf(LAYOUTS.F8_E5M2FNUZ),
  F8_E4M3FNUZ: tableOf(LAYOUTS.F8_E4M3FNUZ),
  /** Powers of two from 2^-127, the exponent of an MX scale; 255 is NaN. */
  F8_E8M0: Float32Array.from({ length: 256 }, (_, code) => (code === 255 ? Number.NaN : 2 ** (code - 127))),
} as const;
