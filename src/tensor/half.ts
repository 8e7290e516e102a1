/**
 * Half-precision floats: f16 (IEEE binary16) and bf16 (the upper half of an f32), to and from f32.
 *
 * Narrowing rounds to nearest, ties to even, overflows to infinity, and keeps NaN a (quiet) NaN. Widening is exact.
 */

const SIGN_F16 = 0x8000;
const INFINITY_F16 = 0x7c00;
const INFINITY_F32 = 0x7f800000;
/** 65520: halfway between the largest f16 and 2^16, which ties to even, that is to infinity. */
const OVERFLOW_F16 = 0x477ff000;
/** 2^-14, the smallest normal f16. */
const SMALLEST_NORMAL_F16 = 0x38800000;
/** 2^-25, half of the smallest subnormal f16: ties to zero. */
const UNDERFLOW_F16 = 0x33000000;
/** Difference of the exponent biases (127 - 15), in f32 position. */
const REBIAS = 112 << 23;

const scalar = new Float32Array(1);
const scalarBits = new Uint32Array(scalar.buffer);

/** f32 bits of every f16: 256 KiB, a table look-up is several times faster than taking the bits apart. */
const WIDENED_F16 = widenedTable();

/** f32 bits -> f16 bits. */
function narrowToF16(bits: number): number {
  const sign = (bits >>> 16) & SIGN_F16;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= SMALLEST_NORMAL_F16) {
    if (magnitude < OVERFLOW_F16) {
      return sign | ((magnitude - REBIAS + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
    }
    if (magnitude <= INFINITY_F32) return sign | INFINITY_F16;
    return sign | 0x7e00 | ((magnitude >>> 13) & 0x1ff);
  }
  if (magnitude <= UNDERFLOW_F16) return sign;
  const shift = 126 - (magnitude >>> 23);
  const significand = (magnitude & 0x7fffff) | 0x800000;
  return sign | ((significand + (1 << (shift - 1)) - 1 + ((significand >>> shift) & 1)) >>> shift);
}

/** f32 bits -> bf16 bits. */
function narrowToBf16(bits: number): number {
  if ((bits & 0x7fffffff) > INFINITY_F32) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** f16 bits -> f32 bits. */
function widenF16(half: number): number {
  const sign = (half & SIGN_F16) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return (sign | INFINITY_F32 | (fraction << 13)) >>> 0;
  if (exponent > 0) return (sign | (((exponent << 10) | fraction) * 0x2000 + REBIAS)) >>> 0;
  scalar[0] = fraction * 2 ** -24;
  return (sign | scalarBits[0]) >>> 0;
}

function widenedTable(): Uint32Array {
  const table = new Uint32Array(65536);
  for (let half = 0; half < 65536; half++) table[half] = widenF16(half);
  return table;
}

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

function sameLength<T extends { readonly length: number }>(out: T, length: number): T {
  if (out.length !== length) throw new RangeError(`output has ${out.length} elements, source has ${length}`);
  return out;
}

/** The f16 bits nearest to `x` taken as an f32. */
export function f32ToF16(x: number): number {
  scalar[0] = x;
  return narrowToF16(scalarBits[0]);
}

/** The value of f16 bits. */
export function f16ToF32(bits: number): number {
  scalarBits[0] = WIDENED_F16[bits & 0xffff];
  return scalar[0];
}

/** `x`, taken as an f32, rounded to the nearest f16 value. */
export function roundToF16(x: number): number {
  return f16ToF32(f32ToF16(x));
}

/** Narrows `src` to f16 bits, into `out` (same length) where given. */
export function f32ToF16Array(src: Float32Array, out?: Uint16Array): Uint16Array {
  const bits = bitsOf(src);
  const target = sameLength(out ?? new Uint16Array(src.length), src.length);
  for (let i = 0; i < bits.length; i++) target[i] = narrowToF16(bits[i]);
  return target;
}

/** Widens f16 bits to f32, into `out` (same length) where given. */
export function f16ToF32Array(src: Uint16Array, out?: Float32Array): Float32Array {
  const target = sameLength(out ?? new Float32Array(src.length), src.length);
  const bits = bitsOf(target);
  for (let i = 0; i < src.length; i++) bits[i] = WIDENED_F16[src[i]];
  return target;
}

/** The bf16 bits nearest to `x` taken as an f32. */
export function f32ToBf16(x: number): number {
  scalar[0] = x;
  return narrowToBf16(scalarBits[0]);
}

/** The value of bf16 bits. */
export function bf16ToF32(bits: number): number {
  scalarBits[0] = bits << 16;
  return scalar[0];
}

/** `x`, taken as an f32, rounded to the nearest bf16 value. */
export function roundToBf16(x: number): number {
  return bf16ToF32(f32ToBf16(x));
}

/** Narrows `src` to bf16 bits, into `out` (same length) where given. */
export function f32ToBf16Array(src: Float32Array, out?: Uint16Array): Uint16Array {
  const bits = bitsOf(src);
  const target = sameLength(out ?? new Uint16Array(src.length), src.length);
  for (let i = 0; i < bits.length; i++) target[i] = narrowToBf16(bits[i]);
  return target;
}

/** Widens bf16 bits to f32, into `out` (same length) where given. */
export function bf16ToF32Array(src: Uint16Array, out?: Float32Array): Float32Array {
  const target = sameLength(out ?? new Float32Array(src.length), src.length);
  const bits = bitsOf(target);
  for (let i = 0; i < src.length; i++) bits[i] = src[i] << 16;
  return target;
}
