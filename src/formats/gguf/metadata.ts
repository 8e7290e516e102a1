/** How numbers of each kind lie in a file, little-endian. */
export const GGUF_NUMBERS = {
  uint8: { id: 0, bytes: 1, read: (v, at) => v.getUint8(at), write: (v, at, x) => v.setUint8(at, x) },
  int8: { id: 1, bytes: 1, read: (v, at) => v.getInt8(at), write: (v, at, x) => v.setInt8(at, x) },
  uint16: { id: 2, bytes: 2, read: (v, at) => v.getUint16(at, true), write: (v, at, x) => v.setUint16(at, x, true) },
  int16: { id: 3, bytes: 2, read: (v, at) => v.getInt16(at, true), write: (v, at, x) => v.setInt16(at, x, true) },
  uint32: { id: 4, bytes: 4, read: (v, at) => v.getUint32(at, true), write: (v, at, x) => v.setUint32(at, x, true) },
  int32: { id: 5, bytes: 4, read: (v, at) => v.getInt32(at, true), write: (v, at, x) => v.setInt32(at, x, true) },
  float32: { id: 6, bytes: 4, read: (v, at) => v.getFloat32(at, true), write: (v, at, x) => v.setFloat32(at, x, true) },
  float64: {
    id: 12,
    bytes: 8,
    read: (v, at) => v.getFloat64(at, true),
    write: (v, at, x) => v.setFloat64(at, x, true),
  },
} as const satisfies Record<string, NumberForm>;

interface NumberForm {
  readonly id: number;
  readonly bytes: number;
  read(view: DataView, at: number): number;
  write(view: DataView, at: number, value: number): void;
}

export type GgufNumberKind = keyof typeof GGUF_NUMBERS;

/** The numbers of the other kinds of values. An array is written with the kind of its elements. */
export const GGUF_KIND_IDS = { bool: 7, string: 8, array: 9, uint64: 10, int64: 11 } as const;

/** One metadata value. Arrays of arrays are not read: no file that we know has any. */
export type GgufValue =
  | { readonly kind: GgufNumberKind; readonly value: number }
  | { readonly kind: "uint64" | "int64"; readonly value: bigint }
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "string"; readonly value: string }
  | GgufArray;

/** Values of one kind. */
export type GgufArray =
  | { readonly kind: "array"; readonly of: GgufNumberKind; readonly value: readonly number[] }
  | { readonly kind: "array"; readonly of: "uint64" | "int64"; readonly value: readonly bigint[] }
  | { readonly kind: "array"; readonly of: "bool"; readonly value: readonly boolean[] }
  | { readonly kind: "array"; readonly of: "string"; readonly value: readonly string[] };

export type GgufMetadata = ReadonlyMap<string, GgufValue>;

/** Version that is written; 2 has the same layout and is read too. */
export const GGUF_VERSION = 3;
/** "GGUF" as a little-endian number. */
export const GGUF_MAGIC = 0x46554747;
/** Metadata key of the tensors' alignment, and the alignment where it is absent. */
export const ALIGNMENT_KEY = "general.alignment";
export const DEFAULT_ALIGNMENT = 32;
