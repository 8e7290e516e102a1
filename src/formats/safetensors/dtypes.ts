import { MAX_COUNT } from "./limits.ts";

/** What the bits of an element mean. */
type DtypeKind = "boolean" | "unsigned" | "signed" | "float" | "complex";

interface DtypeInfo {
  readonly bits: number;
  readonly kind: DtypeKind;
}

/** Every element type of the format, in the reference's order (increasing alignment). */
export const DTYPES = {
  BOOL: { bits: 8, kind: "boolean" },
  F4: { bits: 4, kind: "float" },
  F6_E2M3: { bits: 6, kind: "float" },
  F6_E3M2: { bits: 6, kind: "float" },
  U8: { bits: 8, kind: "unsigned" },
  I8: { bits: 8, kind: "signed" },
  F8_E5M2: { bits: 8, kind: "float" },
  F8_E4M3: { bits: 8, kind: "float" },
  F8_E8M0: { bits: 8, kind: "float" },
  F8_E4M3FNUZ: { bits: 8, kind: "float" },
  F8_E5M2FNUZ: { bits: 8, kind: "float" },
  I16: { bits: 16, kind: "signed" },
  U16: { bits: 16, kind: "unsigned" },
  F16: { bits: 16, kind: "float" },
  BF16: { bits: 16, kind: "float" },
  I32: { bits: 32, kind: "signed" },
  U32: { bits: 32, kind: "unsigned" },
  F32: { bits: 32, kind: "float" },
  C64: { bits: 64, kind: "complex" },
  F64: { bits: 64, kind: "float" },
  I64: { bits: 64, kind: "signed" },
  U64: { bits: 64, kind: "unsigned" },
} as const satisfies Record<string, DtypeInfo>;

export type Dtype = keyof typeof DTYPES;

/** Whether `name` is an element type of the format. */
export function isDtype(name: string): name is Dtype {
  return Object.hasOwn(DTYPES, name);
}

/** All element types. */
export const DTYPE_NAMES: readonly Dtype[] = Object.keys(DTYPES).filter(isDtype);

/** Elements of a shape (1 for a scalar); null where the product passes 2^53 - 1. */
export function elementCount(shape: readonly number[]): number | null {
  let count = 1;
  for (const dimension of shape) {
    count *= dimension;
    if (count > MAX_COUNT) return null;
  }
  return count;
}

/** Bytes of a tensor; null where they are not a whole number (sub-byte types) or pass 2^53 - 1. */
export function tensorBytes(dtype: Dtype, shape: readonly number[]): number | null {
  const count = elementCount(shape);
  if (count === null || count * DTYPES[dtype].bits > MAX_COUNT) return null;
  const bits = count * DTYPES[dtype].bits;
  return bits % 8 === 0 ? bits / 8 : null;
}
