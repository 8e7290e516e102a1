/** How a GGUF tensor type stores numbers: blocks of consecutive inputs of one row. */
export interface GgufTensorForm {
  /** The type's number in files. */
  readonly id: number;
  /** Numbers of one block. */
  readonly blockValues: number;
  readonly blockBytes: number;
}

/** The types that are written and read here: those with the same numbers as a codec of ours. */
export const GGUF_TENSOR_TYPES = {
  F32: { id: 0, blockValues: 1, blockBytes: 4 },
  F16: { id: 1, blockValues: 1, blockBytes: 2 },
  BF16: { id: 30, blockValues: 1, blockBytes: 2 },
  Q4_0: { id: 2, blockValues: 32, blockBytes: 18 },
  Q4_1: { id: 3, blockValues: 32, blockBytes: 20 },
  Q5_0: { id: 6, blockValues: 32, blockBytes: 22 },
  Q5_1: { id: 7, blockValues: 32, blockBytes: 24 },
  Q8_0: { id: 8, blockValues: 32, blockBytes: 34 },
} as const satisfies Record<string, GgufTensorForm>;

export type GgufTensorType = keyof typeof GGUF_TENSOR_TYPES;

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

/** True for the name of a type of the table. */
export function isGgufTensorType(name: string): name is GgufTensorType {
  return Object.hasOwn(GGUF_TENSOR_TYPES, name);
}

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

/** Bytes of a tensor; null where its rows are not whole blocks. */
export function ggufTensorBytes(type: GgufStoredType, rows: number, cols: number): number | null {
  const { blockValues, blockBytes }: GgufTensorForm = isGgufReadType(type)
    ? GGUF_READ_TYPES[type]
    : GGUF_TENSOR_TYPES[type];
  return cols % blockValues === 0 ? rows * (cols / blockValues) * blockBytes : null;
}
