import { bf16ToF32Array, f16ToF32Array } from "../../tensor/half.ts";
import { DTYPES, type Dtype } from "./dtypes.ts";
import { FLOAT8_VALUES } from "./float8.ts";

// The format is little-endian and the typed arrays below have the machine's order; Node runs on big-endian machines
// only on s390x, where every value would be wrong.
if (new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1) throw new Error("layerwise needs a little-endian machine");

/**
 * Element types that have a value in f32; the others are the sub-byte floats, whose packing the format leaves open, and
 * C64.
 */
export type DecodableDtype = Exclude<Dtype, "F4" | "F6_E2M3" | "F6_E3M2" | "C64">;

/** One element of {@link decodeValues}: 64-bit integers are bigints, complex numbers [real, imaginary]. */
export type ExactValue = number | bigint | boolean | readonly [number, number];

type Numbers = ArrayLike<number | bigint>;
type StoredDtype = keyof typeof STORED_VIEWS;

/** Whether values of the type can be read as f32. */
export function isDecodable(dtype: Dtype): dtype is DecodableDtype {
  return dtype !== "C64" && DTYPES[dtype].bits >= 8;
}

/** The same bytes at an address that any typed array accepts. */
function aligned(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset % 8 === 0 ? bytes : new Uint8Array(bytes);
}

const STORED_VIEWS = {
  BOOL: (b: Uint8Array) => b,
  U8: (b: Uint8Array) => b,
  I8: (b: Uint8Array) => new Int8Array(b.buffer, b.byteOffset, b.length),
  U16: (b: Uint8Array) => new Uint16Array(b.buffer, b.byteOffset, b.length / 2),
  I16: (b: Uint8Array) => new Int16Array(b.buffer, b.byteOffset, b.length / 2),
  U32: (b: Uint8Array) => new Uint32Array(b.buffer, b.byteOffset, b.length / 4),
  I32: (b: Uint8Array) => new Int32Array(b.buffer, b.byteOffset, b.length / 4),
  U64: (b: Uint8Array) => new BigUint64Array(b.buffer, b.byteOffset, b.length / 8),
  I64: (b: Uint8Array) => new BigInt64Array(b.buffer, b.byteOffset, b.length / 8),
  F32: (b: Uint8Array) => new Float32Array(b.buffer, b.byteOffset, b.length / 4),
  F64: (b: Uint8Array) => new Float64Array(b.buffer, b.byteOffset, b.length / 8),
} as const;

function isStored(dtype: DecodableDtype): dtype is StoredDtype {
  return Object.hasOwn(STORED_VIEWS, dtype);
}

function storedView(dtype: StoredDtype, bytes: Uint8Array): Numbers {
  return STORED_VIEWS[dtype](bytes);
}

function copyNumbers(source: Numbers, out: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = Number(source[i]);
}

/**
 * Converts stored elements to f32: exact for types of 16 bits and less, else rounded to nearest. `out.length` elements
 * are expected in `bytes`; throws a plain Error if the lengths do not fit.
 */
export function decodeF32(dtype: DecodableDtype, bytes: Uint8Array, out: Float32Array): void {
  if (bytes.length * 8 !== out.length * DTYPES[dtype].bits) {
    throw new Error(`${bytes.length} bytes of ${dtype} do not make ${out.length} values`);
  }
  const source = aligned(bytes);
  switch (dtype) {
    case "F32":
      out.set(new Float32Array(source.buffer, source.byteOffset, out.length));
      return;
    case "F16":
      f16ToF32Array(new Uint16Array(source.buffer, source.byteOffset, out.length), out);
      return;
    case "BF16":
      bf16ToF32Array(new Uint16Array(source.buffer, source.byteOffset, out.length), out);
      return;
    case "F8_E5M2":
    case "F8_E4M3":
    case "F8_E8M0":
    case "F8_E4M3FNUZ":
    case "F8_E5M2FNUZ": {
      const values = FLOAT8_VALUES[dtype];
      for (let i = 0; i < out.length; i++) out[i] = values[source[i]];
      return;
    }
    case "BOOL":
      for (let i = 0; i < out.length; i++) out[i] = source[i] === 0 ? 0 : 1;
      return;
    default:
      copyNumbers(storedView(dtype, source), out);
  }
}

/** Every element without loss, for showing and comparing; a plain Error for the sub-byte types. */
export function decodeValues(dtype: Dtype, bytes: Uint8Array): ExactValue[] {
  if (dtype === "C64") {
    const parts = new Float32Array(new Uint8Array(bytes).buffer);
    return Array.from({ length: parts.length / 2 }, (_, i) => [parts[2 * i], parts[2 * i + 1]]);
  }
  if (!isDecodable(dtype)) throw new Error(`values of ${dtype} cannot be decoded`);
  if (dtype === "BOOL") return Array.from(bytes, (byte) => byte !== 0);
  if (isStored(dtype)) return Array.from(storedView(dtype, aligned(bytes)));
  const out = new Float32Array((bytes.length * 8) / DTYPES[dtype].bits);
  decodeF32(dtype, bytes, out);
  return Array.from(out);
}
