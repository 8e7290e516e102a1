import {
  blockedBytes,
  GGUF_TENSOR_TYPES,
  type GgufTensorForm,
  type GgufTensorType,
  isGgufTensorType,
} from "../../../src/formats/gguf/tensor-types.ts";

/** Types of llama.cpp's own quantizers, which are only read: to compare files with. */
export const GGUF_READ_TYPES = {
  Q3_K: { id: 11, blockValues: 256, blockBytes: 110 },
  Q4_K: { id: 12, blockValues: 256, blockBytes: 144 },
  Q5_K: { id: 13, blockValues: 256, blockBytes: 176 },
  Q6_K: { id: 14, blockValues: 256, blockBytes: 210 },
  IQ4_NL: { id: 20, blockValues: 32, blockBytes: 18 },
  IQ4_XS: { id: 23, blockValues: 256, blockBytes: 136 },
} as const satisfies Record<string, GgufTensorForm>;

export type GgufReadType = keyof typeof GGUF_READ_TYPES;

/** A type that a file may hold. */
export type GgufStoredType = GgufTensorType | GgufReadType;

/** True for a type that is only read. */
export function isGgufReadType(name: string): name is GgufReadType {
  return Object.hasOwn(GGUF_READ_TYPES, name);
}

/** The name of a type number, or null where it is none of the tables'. */
export function tensorTypeOf(id: number): GgufStoredType | null {
  const types: [name: string, form: GgufTensorForm][] = Object.entries({ ...GGUF_TENSOR_TYPES, ...GGUF_READ_TYPES });
  const name = types.find(([, form]) => form.id === id)?.[0] ?? "";
  return isGgufTensorType(name) || isGgufReadType(name) ? name : null;
}

/** Bytes of a tensor of any type; null where its rows are not whole blocks. */
export function storedTensorBytes(type: GgufStoredType, rows: number, cols: number): number | null {
  return blockedBytes(isGgufReadType(type) ? GGUF_READ_TYPES[type] : GGUF_TENSOR_TYPES[type], rows, cols);
}
