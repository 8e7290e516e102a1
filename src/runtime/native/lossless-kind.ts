import type { FLOAT_CODECS } from "../../codecs/float.ts";

/** Exponent field of 2^-14, the smallest normal f16, in an f32; and that of its largest power of two, 2^15. */
const F16_LEAST_EXPONENT = 113;
const F16_MOST_EXPONENT = 142;
/** Bits of an f32's fraction that an f16 does not have. */
const F16_MISSING_BITS = 13;
/** An f16 below its normal numbers has a bit less of fraction for each power of two, and 10 bits in all. */
const F16_FRACTION_BITS = 10;

/** How numbers can be stored without loss: the checkpoint they come from has most often been stored so. */
export type FloatKind = keyof typeof FLOAT_CODECS;

/** The smallest float kind that holds every number as it is; `bf16` where both 16-bit kinds do. */
export function losslessKind(numbers: Float32Array): FloatKind {
  const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
  if (areBf16(bits)) return "bf16";
  return areF16(bits) ? "f16" : "f32";
}

// Loops, not `every`: it calls a function for each of millions of numbers, at ten times the cost.
function areBf16(bits: Uint32Array): boolean {
  for (let i = 0; i < bits.length; i++) if ((bits[i] & 0xffff) !== 0) return false;
  return true;
}

function areF16(bits: Uint32Array): boolean {
  for (let i = 0; i < bits.length; i++) if (!isF16(bits[i])) return false;
  return true;
}

/** Infinities and NaN count as no f16: weights with them are refused elsewhere. */
function isF16(bits: number): boolean {
  if ((bits & 0x7fffffff) === 0) return true;
  const exponent = (bits >>> 23) & 0xff;
  const below = Math.max(0, F16_LEAST_EXPONENT - exponent);
  if (exponent > F16_MOST_EXPONENT || below > F16_FRACTION_BITS) return false;
  return (bits & ((1 << (F16_MISSING_BITS + below)) - 1)) === 0;
}
