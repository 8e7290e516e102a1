import type { NativeCodecForm } from "./codec-form.ts";

/** Offline maths; arrays are row-major. Twins: src/maths/plain/. */
export interface NativeOffline {
  /** h [cols, cols] += factor * x^T x of x [rows, cols]; both triangles. f32. */
  accumulateGram(x: Float32Array, rows: number, cols: number, factor: number, h: Float32Array): Promise<void>;
  /**
   * c = a b, or c + a b where `accumulate`: f32, fma over the depth in order. a [rows, depth], or stored [depth, rows]
   * where transposed; b [depth, cols], or stored [cols, depth]; c [rows, cols]. Strides: numbers from a stored row to
   * the next, by default the length of a row; an array is exactly as long as from its first number to its last. Twin:
   * maths/plain/multiply.ts.
   */
  multiply(options: {
    a: Float32Array;
    b: Float32Array;
    c: Float32Array;
    rows: number;
    cols: number;
    depth: number;
    transposedA?: boolean | undefined;
    transposedB?: boolean | undefined;
    accumulate?: boolean | undefined;
    strideA?: number | undefined;
    strideB?: number | undefined;
    strideC?: number | undefined;
  }): Promise<void>;
  /**
   * The upper factor u of the inverse of the symmetric positive definite h [n, n] in place (h^-1 = u^T u, lower
   * triangle zeroed), in half the work of a factor, its inverse and the inverse's factor, in f64; false where h is not
   * positive definite.
   */
  inverseUpperFactor(h: Float64Array, n: number): Promise<boolean>;
  /**
   * GPTQ (arXiv 2210.17323): quantizes w [rows, cols] in place column by column with the upper factor u of the inverse
   * Hessian, [cols, cols], rows and columns in `order`, in blocks of `blockCols` columns; levels go to `codes`. Scales
   * and minima are given per group and stay (static groups).
   */
  gptq(options: {
    w: Float32Array;
    rows: number;
    cols: number;
    u: Float64Array;
    bits: number;
    /** [2^bits], ascending from a negative one; null or absent: whole numbers */
    levels?: Int8Array | null;
    group: number;
    scales: Float32Array;
    minima: Float32Array | null;
    /** Order in which columns are quantized, original column numbers; groups go by original column. */
    order: Int32Array;
    /** Of each keptOf columns of `order` keptCount keep a level, the others become 0; absent or 0: all keep theirs. */
    keptCount?: number;
    keptOf?: number;
    blockCols: number;
    codes: Uint8Array;
  }): Promise<void>;
  /**
   * The searches of maths/plain/search-scales.ts: the same bytes. Without `rowScales` it fits scales (f16 or, with
   * `twoLevel`, f32); with them the scales and minima there are snapped to whole multiples of the row's. Resolves to
   * the first row whose weights no f16 scale reaches, or -1.
   */
  searchScales(options: {
    w: Float32Array;
    rows: number;
    cols: number;
    /** [cols], positive: how much the squared error of a column counts */
    weights: Float32Array;
    bits: number;
    levels?: Int8Array | null;
    /** 0: a whole row */
    group: number;
    asymmetric: boolean;
    twoLevel?: boolean;
    rowScales?: Float32Array | null;
    rowMinima?: Float32Array | null;
    codes: Uint8Array;
    scales: Float32Array;
    minima: Float32Array | null;
  }): Promise<number>;
  /** maths/plain/refine.ts: the same bytes. Scales, minima and codes are changed in place. */
  refine(options: {
    w: Float32Array;
    rows: number;
    cols: number;
    bits: number;
    levels?: Int8Array | null;
    /** 0: a whole row */
    group: number;
    gram: Float32Array;
    damping: number;
    passes: number;
    rowScales: Float32Array | null;
    rowMinima: Float32Array | null;
    /** A level that is 0 is not moved. */
    zerosStay?: boolean;
    scales: Float32Array;
    minima: Float32Array | null;
    codes: Uint8Array;
  }): Promise<void>;
  /** maths/plain/take-groups.ts: the same bytes. Weights [cols, rows], `taken` and `costs` are written. */
  takeGroups(options: {
    weights: Float64Array;
    rows: number;
    cols: number;
    size: number;
    factor: Float64Array;
    order: Int32Array;
    damping: number;
    /** Of `taken` and `costs`. */
    count: number;
    taken: Int32Array;
    costs: Float64Array;
  }): Promise<void>;
  /** Mean over rows of d gram d^T, d = w - values [rows, cols], products in f32 (maths/plain/hessian-error.ts). */
  hessianError(options: {
    w: Float32Array;
    values: Float32Array;
    gram: Float32Array;
    rows: number;
    cols: number;
  }): Promise<number>;
  /**
   * Compares rows of logits (the fast twin of maths/plain/row-distribution.ts): arrays of the reference are given
   * together or not at all. A log-sum-exp is NaN where a logit of its row is NaN or +Infinity, a divergence not finite
   * where any of both rows is not.
   */
  compareRows(options: {
    /** [rows, vocab] */
    logits: Float32Array;
    rows: number;
    vocab: number;
    /** [rows], as all that follow; ids: the first of the largest logit */
    logSumExps: Float64Array;
    argmaxes: Int32Array;
    /** [rows, vocab] */
    reference?: Float32Array | null;
    referenceLogSumExps?: Float64Array;
    referenceArgmaxes?: Int32Array;
    /** KL(reference || logits) in nats. */
    divergences?: Float64Array;
    /** How many ids come before the reference's argmax by larger logit, then lower id. */
    ranks?: Int32Array;
  }): Promise<void>;
  /**
   * Packs codes and scales (or f32 values) into `out`, of packedBytes: the same bytes as Codec.pack; a RangeError where
   * that throws one.
   */
  pack(
    form: NativeCodecForm,
    numbers: {
      rows: number;
      cols: number;
      values?: Float32Array;
      codes?: Uint8Array;
      scales?: Float32Array;
      minima?: Float32Array | null;
      rowScales?: Float32Array | null;
      rowMinima?: Float32Array | null;
    },
    out: Uint8Array,
  ): Promise<void>;
}
