/**
 * The contract of a codec: how a matrix is stored and what that costs in bytes. It does not choose numbers; quantizers
 * do.
 *
 * Layout shared by all codecs (docs/artifact-format.md has it bit by bit): rows in tiles of 16, tile after tile; inside
 * a tile the scales of its rows where scales have two levels, then group after group of columns, each with its scales,
 * its minima and its levels, and zero bytes up to the next multiple of 64.
 */
export interface Codec {
  /**
   * Name in plans, recipes and manifests: `f32`, `f16`, `bf16`, `q4s-g32` (4 bits, symmetric, groups of 32), `q4a-g64`,
   * `q8s-row`, `q4t-g32` (table), `q4t-g32-s8` (8-bit scales under one scale a row), `q4s-g32-n16` and `q4s-g32-2of4`
   * (sparse: of every 32 columns of a row 16 are stored; of every 4, 2).
   */
  readonly id: string;
  /** Bits of one level: 2, 3, 4, 5, 6, 8, 16 or 32. */
  readonly bits: number;
  /** Columns that share a scale; null for a whole row and for the float codecs. */
  readonly group: number | null;
  readonly scheme: "symmetric" | "asymmetric" | "table" | "float";
  /** How scales (and minima) are stored: f16 a group, or int8 a group under a bf16 a row; null for the float codecs. */
  readonly scaleKind: ScaleKind | null;
  /**
   * The integer that each code stands for, ascending, so that value = scale * levels[code]: code - 2^(bits-1) when
   * symmetric, the table's number for a table codec. Null for asymmetric and float codecs.
   */
  readonly levels: Int8Array | null;
  /** Which levels may be other than 0; null for all codecs but the sparse ones. */
  readonly kept: Kept | null;
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

/** How an integer codec stores its scales and minima. */
export type ScaleKind = "f16" | "two-level";

/** Of every `of` columns of a row, from a multiple of `of` on, at most `count` have a level that is not 0. */
export interface Kept {
  readonly count: number;
  readonly of: 4 | 32;
}

/** Bytes of a packed matrix by purpose. */
export interface PackedParts {
  /** Levels, and where a codec is sparse the masks that say whose they are. */
  readonly levels: number;
  /** Scales and minima, those of rows included. */
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
 * The numbers of a quantized matrix before packing. Integer codecs: value = scale * levels[code] when symmetric or by
 * table, scale * code + minimum when asymmetric. Scales and minima are those that a reader computes: f16 numbers or,
 * with two-level scales, whole multiples (-127 … 127) of the row's own (snapScales in two-level.ts makes them). Float
 * codecs: `values` only.
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
      /** [rows, groupsPerRow]; null unless asymmetric */
      readonly minima: Float32Array | null;
      /** [rows], bf16 numbers: what the row's scales are multiples of; null unless scales have two levels. */
      readonly rowScales: Float32Array | null;
      /** [rows], the same for the minima; null unless scales have two levels and the codec is asymmetric. */
      readonly rowMinima: Float32Array | null;
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
