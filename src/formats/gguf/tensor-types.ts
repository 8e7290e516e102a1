/** How a GGUF tensor type stores numbers: blocks of consecutive inputs of one row. */
export interface GgufTensorForm {
  /** The type's number in files. */
  readonly id: number;
  /** Numbers of one block. */
  readonly blockValues: number;
  readonly blockBytes: number;
}

/** The types that are written: those with the same numbers as a codec of ours. */
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

/** True for the name of a type of the table. */
export function isGgufTensorType(name: string): name is GgufTensorType {
  return Object.hasOwn(GGUF_TENSOR_TYPES, name);
}

/** Bytes of a tensor; null where its rows are not whole blocks. */
export function ggufTensorBytes(type: GgufTensorType, rows: number, cols: number): number | null {
  return blockedBytes(GGUF_TENSOR_TYPES[type], rows, cols);
}

/** Bytes of rows [rows, cols] in blocks of that form; null where its rows are not whole blocks. */
export function blockedBytes({ blockValues, blockBytes }: GgufTensorForm, rows: number, cols: number): number | null {
  return cols % blockValues === 0 ? rows * (cols / blockValues) * blockBytes : null;
}
