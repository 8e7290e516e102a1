import { fma32 } from "./fma.ts";
import type { Bounded } from "./integer-product.ts";

/** Numbers of a matrix in f32, row-major, and its shape. */
export interface Dense {
  readonly values: Float32Array;
  readonly rows: number;
  readonly cols: number;
}

/**
 * The float product bit for bit: acc = fma(W[i][c], x[r][c], acc) over the columns in order, from 0. [x rows, weight
 * rows]
 */
export function floatProduct(w: Dense, x: Float32Array): Float32Array {
  const y = new Float32Array((x.length / w.cols) * w.rows);
  for (let at = 0; at < y.length; at++) {
    const [row, output] = [Math.floor(at / w.rows), at % w.rows];
    let sum = 0;
    for (let c = 0; c < w.cols; c++) sum = fma32(w.values[output * w.cols + c], x[row * w.cols + c], sum);
    y[at] = sum;
  }
  return y;
}

/**
 * Its transpose bit for bit: acc = fma(W[i][c], dy[r][i], acc) over the matrix's rows in order, from 0. [dy rows,
 * weight cols]
 */
export function floatProductTransposed(w: Dense, dy: Float32Array): Float32Array {
  return floatProduct(transposed(w), dy);
}

/**
 * The product in f64 with the bound |y - reference| <= (n + 1) * 2^-24 * sum |w x| of n products: one rounding each,
 * and second order.
 */
export function floatProductBounded(w: Dense, x: Float32Array): Bounded {
  const values = new Float64Array((x.length / w.cols) * w.rows);
  const bounds = new Float64Array(values.length);
  for (let at = 0; at < values.length; at++) {
    const [row, output] = [Math.floor(at / w.rows), at % w.rows];
    for (let c = 0; c < w.cols; c++) {
      const product = w.values[output * w.cols + c] * x[row * w.cols + c];
      values[at] += product;
      bounds[at] += (w.cols + 1) * 2 ** -24 * Math.abs(product);
    }
  }
  return { values, bounds };
}

function transposed({ values, rows, cols }: Dense): Dense {
  const out = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c++) out[c * rows + r] = values[r * cols + c];
  return { values: out, rows: cols, cols: rows };
}
