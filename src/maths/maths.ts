import type { Codec, Kept, PackedShape, Quantized } from "../codecs/codec.ts";
import type { RowComparer } from "./row-comparison.ts";

/**
 * The maths of the offline stages. Two implementations give the same bytes where a method's comment says so: plain
 * TypeScript (plain/) and the native engine's threads (native.ts). Arrays are row-major; one that is passed in must not
 * be written until the promise settles.
 */
export interface Maths {
  /** h [cols, cols] += factor * x^T x of x [rows, cols]; both triangles. Sums in f32 or wider. */
  accumulateGram(x: Float32Array, rows: number, cols: number, factor: number, h: Float32Array): Promise<void>;
  /** c = a b, or c + a b: sums in f32 or wider, equal within rounding. */
  multiply(product: Product): Promise<void>;
  /** y [n, rows of w] = x [n, cols of w] w^T in f32 on the packed bytes themselves. */
  multiplyPacked(w: PackedOperand, x: Float32Array, y: Float32Array): Promise<void>;
  /** dx [n, cols of w] = dy [n, rows of w] w in f32: what passes back through {@link multiplyPacked}. */
  multiplyPackedTransposed(w: PackedOperand, dy: Float32Array, dx: Float32Array): Promise<void>;
  /**
   * The upper factor u of the inverse of the symmetric positive definite h [n, n] in place (h^-1 = u^T u, lower
   * triangle zeroed); false where h is not positive definite. The same bytes.
   */
  inverseUpperFactor(h: Float64Array, n: number): Promise<boolean>;
  /** Chooses scales, minima and codes; the first row whose weights no f16 scale reaches, or -1. The same bytes. */
  searchScales(options: ScaleSearch): Promise<number>;
  /** GPTQ's column loop (arXiv 2210.17323) under scales that stay as they are. The same bytes. */
  gptq(options: GptqOptions): Promise<void>;
  /** Lowers the error that a quantized matrix leaves under a gram; never raises it. The same bytes. */
  refine(options: RefineOptions): Promise<void>;
  /** Takes groups of columns out of a matrix and repairs the others. The same bytes. */
  takeGroups(options: GroupRemoval): Promise<void>;
  /** Mean over rows of d gram d^T, d = w - values: equal to some 5 digits. */
  hessianError(options: HessianErrorOptions): Promise<number>;
  /** Sums up and compares rows of logits; equal within the bounds that it states. */
  rowComparer(): RowComparer;
  /** Packs the numbers of a matrix: the bytes of `codec.pack`, and a RangeError where that throws one. */
  pack(codec: Codec, numbers: Quantized): Promise<Uint8Array>;
}

/** A packed matrix with its codec; bytes as `aligned` of native/aligned.ts gives them. */
export interface PackedOperand extends PackedShape {
  readonly codec: Codec;
}

/** A product of f32 matrices. Arrays overlap nowhere; each is as long as from its first number to its last. */
export interface Product {
  /** [rows, depth], or stored as [depth, rows] where transposed */
  readonly a: Float32Array;
  /** [depth, cols], or stored as [cols, depth] where transposed */
  readonly b: Float32Array;
  /** [rows, cols] */
  readonly c: Float32Array;
  readonly rows: number;
  readonly cols: number;
  readonly depth: number;
  readonly transposedA?: boolean | undefined;
  readonly transposedB?: boolean | undefined;
  /** Add to what c holds. */
  readonly accumulate?: boolean | undefined;
  /** Numbers from a stored row to the next; default: the length of a row. */
  readonly strideA?: number | undefined;
  readonly strideB?: number | undefined;
  readonly strideC?: number | undefined;
}

/** A matrix that loses groups of columns, and by what the others are repaired. */
export interface GroupRemoval {
  /** The matrix transposed, [columns, rows], changed: a column's numbers lie together. */
  readonly weights: Float64Array;
  readonly rows: number;
  /** Columns of a group, a divisor of the columns. */
  readonly size: number;
  /** Upper factor u of the inverse of the inputs' damped gram H (H^-1 = u^T u), rows and columns in `order`. */
  readonly factor: Float64Array;
  readonly order: Int32Array;
  /** What of H's diagonal is no input's: it counts for nothing in a cost. */
  readonly damping: number;
  /** The groups to take, in turn; -1: whichever then costs least, written here; it stays where no cost is finite. */
  readonly taken: Int32Array;
  /** What each that was taken has cost. */
  readonly costs: Float64Array;
}

/** What the levels of a matrix's codes are. */
interface LevelOptions {
  readonly bits: number;
  /**
   * [2^bits], ascending from a negative one; null: whole numbers, from 0 where there are minima, else from -2^(bits -
   * 1)
   */
  readonly levels: Int8Array | null;
  /** Columns that share a scale; 0: a whole row */
  readonly group: number;
}

/** Codes under scales, as they are stored; changed in place. */
interface CodedMatrix extends LevelOptions {
  /** [rows, cols]: the weights that the codes stand for */
  readonly w: Float32Array;
  readonly rows: number;
  readonly cols: number;
  /** [rows, cols] */
  readonly codes: Uint8Array;
  /** [rows, groups] */
  readonly scales: Float32Array;
  /** [rows, groups]; null unless asymmetric */
  readonly minima: Float32Array | null;
}

/** Two-level scales: what a row's scales and minima are whole multiples of, [rows] each; null: f16 numbers. */
interface RowScales {
  readonly rowScales: Float32Array | null;
  readonly rowMinima: Float32Array | null;
}

/**
 * Without `rowScales` scales are fitted (f16 numbers or, with `twoLevel`, f32 ones); with them the scales and minima
 * there are snapped to whole multiples of the row's.
 */
export interface ScaleSearch extends CodedMatrix, RowScales {
  /** [cols], positive: how much the squared error of a column counts */
  readonly weights: Float32Array;
  readonly asymmetric: boolean;
  readonly twoLevel: boolean;
}

/**
 * What GPTQ quantizes, and by what: `w` becomes the quantized values; scales and minima stay, groups go by original
 * columns.
 */
export interface GptqOptions extends CodedMatrix {
  /** Upper factor of the inverse Hessian (h^-1 = u^T u), [cols, cols], rows and columns in `order` */
  readonly u: Float64Array;
  /** The column quantized i-th: a permutation of 0 … cols - 1 */
  readonly order: Int32Array;
  /**
   * Of each `kept.of` columns of `order`, which takes such runs of columns together, `kept.count` keep a level: those
   * of the largest w² / u_jj² when the run's first column has its turn (SparseGPT, arXiv 2301.00774), the first of
   * equals first. The others become 0. Symmetric levels only; absent or null: all keep theirs.
   */
  readonly kept?: Kept | null;
}

/** What is refined, and by what: codes, scales and minima are changed, `w` is what they are to come near to. */
export interface RefineOptions extends CodedMatrix, RowScales {
  /** [cols, cols], symmetric */
  readonly gram: Float32Array;
  /** Added to the gram's diagonal, positive. */
  readonly damping: number;
  /** Passes over all columns. */
  readonly passes: number;
  /** A level that is 0 is not moved: what a sparse codec does not store stays so. */
  readonly zerosStay?: boolean;
}

/** Weights, and the values that stand for them. */
export interface HessianErrorOptions {
  /** [rows, cols], both */
  readonly w: Float32Array;
  readonly values: Float32Array;
  /** [cols, cols], symmetric */
  readonly gram: Float32Array;
  readonly rows: number;
  readonly cols: number;
}
