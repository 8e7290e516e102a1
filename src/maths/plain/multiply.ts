import type { PackedOperand, Product } from "../maths.ts";

/** c = a b, or c + a b (the addon's twin: native/offline/gemm.cpp); sums in double precision. */
export function multiply(product: Product): void {
  const { a, b, c, rows, cols, depth, transposedA = false, transposedB = false, accumulate = false } = product;
  const strideA = product.strideA ?? (transposedA ? rows : depth);
  const strideB = product.strideB ?? (transposedB ? depth : cols);
  const strideC = product.strideC ?? cols;
  checkSpan("a", a, transposedA ? [depth, rows, strideA] : [rows, depth, strideA]);
  checkSpan("b", b, transposedB ? [cols, depth, strideB] : [depth, cols, strideB]);
  checkSpan("c", c, [rows, cols, strideC]);
  const [rowStepA, stepA] = transposedA ? [1, strideA] : [strideA, 1];
  const [colStepB, stepB] = transposedB ? [strideB, 1] : [1, strideB];
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      let sum = accumulate ? c[row * strideC + col] : 0;
      for (let i = 0; i < depth; i++) sum += a[row * rowStepA + i * stepA] * b[col * colStepB + i * stepB];
      c[row * strideC + col] = sum;
    }
  }
}

/** y [n, rows] = x [n, cols] w^T, a row of w at a time. */
export function multiplyPacked(w: PackedOperand, x: Float32Array, y: Float32Array): void {
  const { rows, cols } = w;
  const n = x.length / cols;
  checkSpan("y", y, [n, rows, rows]);
  for (let row = 0; row < rows; row++) {
    const b = w.codec.unpackRows(w, row, row + 1);
    multiply({ a: x, b, c: y.subarray(row, (n - 1) * rows + row + 1), rows: n, cols: 1, depth: cols, strideC: rows });
  }
}

/** dx [n, cols] = dy [n, rows] w, a row of w at a time. */
export function multiplyPackedTransposed(w: PackedOperand, dy: Float32Array, dx: Float32Array): void {
  const { rows, cols } = w;
  const n = dy.length / rows;
  checkSpan("dx", dx, [n, cols, cols]);
  for (let row = 0; row < rows; row++) {
    const b = w.codec.unpackRows(w, row, row + 1);
    const a = dy.subarray(row, (n - 1) * rows + row + 1);
    multiply({ a, b, c: dx, rows: n, cols, depth: 1, strideA: rows, accumulate: row > 0 });
  }
}

function checkSpan(name: string, array: Float32Array, [rows, width, stride]: readonly [number, number, number]): void {
  const span = (rows - 1) * stride + width;
  if (stride < width) throw new RangeError(`${name}: expected a stride of ${width} or more, found ${stride}`);
  if (array.length !== span) throw new RangeError(`${name}: expected ${span} numbers, found ${array.length}`);
}
