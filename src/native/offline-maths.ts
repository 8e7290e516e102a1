import type { NativeCodecForm } from "./addon.ts";

/** Offline maths; arrays are row-major. Twins: src/tensor/linear-algebra.ts, src/quantization/. */
export interface NativeOffline {
  /** c [m, n] = a [m, k] b [k, n], or + c; `transposeA`: a is [k, m], `transposeB`: b is [n, k]. f32. */
  gemm(options: {
    m: number;
    n: number;
    k: number;
    a: Float32Array;
    b: Float32Array;
    c: Float32Array;
    transposeA?: boolean;
    transposeB?: boolean;
    accumulate?: boolean;
  }): Promise<void>;
  /** h [cols, cols] += factor * x^T x of x [rows, cols]; both triangles. f32. */
  accumulateGram(x: Float32Array, rows: number, cols: number, factor: number, h: Float32Array): Promise<void>;
  /** Lower Cholesky factor of the symmetric a [n, n] in place, in f64 (upper triangle zeroed); false where a is not positive definite. */
  cholesky(a: Float64Array, n: number): Promise<boolean>;
  /** Inverse of a symmetric positive definite matrix from its lower factor: [n, n] in place. */
  choleskyInverse(l: Float64Array, n: number): Promise<void>;
  /**
   * The upper factor u of the inverse of the symmetric positive definite h [n, n] in place (h^-1 = u^T u, lower triangle zeroed),
   * in half the work of cholesky, choleskyInverse and cholesky again; false where h is not positive definite.
   */
  inverseUpperFactor(h: Float64Array, n: number): Promise<boolean>;
  /**
   * GPTQ (papers.md): quantizes w [rows, cols] in place column by column with the upper factor u of the inverse Hessian, [cols, cols],
   * rows and columns in `order`, in blocks of `blockCols` columns; levels go to `codes`. Scales and minima are given per group
   * and stay (static groups).
   */
  gptq(options: {
    w: Float32Array;
    rows: number;
    cols: number;
    u: Float64Array;
    bits: number;
    group: number;
    scales: Float32Array;
    minima: Float32Array | null;
    /** Order in which columns are quantized, original column numbers; groups go by original column. */
    order: Int32Array;
    blockCols: number;
    codes: Uint8Array;
  }): Promise<void>;
  /**
   * The scale search of quantization/symmetric-search.ts and asymmetric-search.ts: the same bytes. Resolves to the first row whose
   * weights no f16 scale reaches, or -1.
   */
  searchScales(options: {
    w: Float32Array;
    rows: number;
    cols: number;
    bits: number;
    /** 0: a whole row */
    group: number;
    asymmetric: boolean;
    codes: Uint8Array;
    scales: Float32Array;
    minima: Float32Array | null;
  }): Promise<number>;
  /** Packs codes and scales (or f32 values) into `out`, of packedBytes: the same bytes as Codec.pack; a RangeError where that throws one. */
  pack(
    form: NativeCodecForm,
    numbers: {
      rows: number;
      cols: number;
      values?: Float32Array;
      codes?: Uint8Array;
      scales?: Float32Array;
      minima?: Float32Array | null;
    },
    out: Uint8Array,
  ): Promise<void>;
}
