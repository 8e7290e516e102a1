/**
 * The contract of a codec: how a matrix is stored and what that costs in bytes. It does not choose numbers; quantizers do.
 *
 * Layout shared by all codecs (docs/artifact-format.md has it bit by bit): rows in tiles of 16, tile after tile; inside a tile
 * group after group of columns, each with its scales, its minima and its levels, and zero bytes up to the next multiple of 64.
 */
export interface Codec {
  /** Name in plans, recipes and manifests: `f32`, `f16`, `bf16`, `q4s-g32` (4 bits, symmetric, groups of 32), `q4a-g64`, `q8s-row`. */
  readonly id: string;
  /** Bits of one level: 2, 3, 4, 5, 6, 8, 16 or 32. */
  readonly bits: number;
  /** Columns that share a scale; null for a whole row and for the float codecs. */
  readonly group: number | null;
  readonly scheme: "symmetric" | "asymmetric" | "float";
  /** GGUF type that holds the same numbers without loss, if there is one. */
  readonly gguf: string | null;
  /** Size in bytes of a packed matrix, padding included: the only size formula. */
  packedBytes(rows: number, cols: number): number;
  /** The same bytes, itemised; the parts add up to packedBytes. */
  packedParts(rows: number, cols: number): PackedParts;
  /** Scales of one row. 0 for the float codecs. */
  groupsPerRow(cols: number): number;
  /** Packs numbers that a quantizer chose. Throws on lengths that do not fit or levels out of range. */
  pack(quantized: Quantized): Uint8Array;
  /** Rows [from, to) in f32, written to `out` ([to - from, cols]) when given. */
  unpackRows(packed: PackedShape, from: number, to: number, out?: Float32Array): Float32Array;
  /** Rows [from, to) in f32, transposed: [cols, to - from]. */
  unpackTransposed(packed: PackedShape, from: number, to: number, out?: Float32Array): Float32Array;
}

/** Bytes of a packed matrix by purpose. */
export interface PackedParts {
  readonly levels: number;
  readonly scales: number;
  readonly padding: number;
}

/** Packed bytes with their logical shape. */
export interface PackedShape {
  readonly rows: number;
  readonly cols: number;
  readonly bytes: Uint8Array;
}

/**
 * The numbers of a quantized matrix before packing. Integer codecs: value = scale * (code - 2^(bits-1)) when symmetric,
 * scale * code + minimum when asymmetric; scales and minima already rounded to f16. Float codecs: `values` only.
 */
export type Quantized =
  | {
      readonly kind: "integer";
      readonly rows: number;
      readonly cols: number;
      /** [rows, cols], unsigned codes 0 … 2^bits - 1 */
      readonly codes: Uint8Array;
      /** [rows, groupsPerRow] */
      readonly scales: Float32Array;
      /** [rows, groupsPerRow]; null when symmetric */
      readonly minima: Float32Array | null;
    }
  | {
      readonly kind: "float";
      readonly rows: number;
      readonly cols: number;
      /** [rows, cols] */
      readonly values: Float32Array;
    };

/** Rows of a tile: what one AVX-512 register of f32 holds; narrower instruction sets walk the same tiles. */
export const TILE_ROWS = 16;
/** Alignment in bytes of every tile. */
export const TILE_ALIGN = 64;
/** Columns of one chunk of levels inside a tile; columns are padded to it. */
export const CHUNK_COLS = 32;
