/**
 * Plain matrix maths: the twins of the addon's (native/offline/), and what runs where there is no addon. Matrices are
 * row-major.
 */

/** h [cols, cols] += factor * x^T x of x [rows, cols], both triangles; h's lower one is read. */
export function accumulateGram(x: Float32Array, rows: number, cols: number, factor: number, h: Float32Array): void {
  checkLengths({ x: [x, rows * cols], h: [h, cols * cols] });
  for (let i = 0; i < cols; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let row = 0; row < rows; row++) sum += x[row * cols + i] * x[row * cols + j];
      h[i * cols + j] += factor * sum;
      h[j * cols + i] = h[i * cols + j];
    }
  }
}

/**
 * Lower Cholesky factor of a symmetric matrix [n, n], of which the lower triangle is read, in place; the upper triangle
 * becomes zero. False where the matrix is not positive definite; it is half done then.
 */
export function cholesky(a: Float64Array, n: number): boolean {
  checkLengths({ a: [a, n * n] });
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum = a[i * n + j];
      for (let p = 0; p < j; p++) sum -= a[i * n + p] * a[j * n + p];
      if (i > j) a[i * n + j] = sum / a[j * n + j];
      else if (sum > 0) a[j * n + j] = Math.sqrt(sum);
      else return false;
    }
    a.fill(0, j * n + j + 1, (j + 1) * n);
  }
  return true;
}

/**
 * The upper factor u of the inverse of a symmetric positive definite matrix h [n, n] in place: h^-1 = u^T u, lower
 * triangle zero. False where h is not positive definite.
 */
export function inverseUpperFactor(h: Float64Array, n: number): boolean {
  // With J the reversal of rows and columns and J h J = L L^T: h^-1 = (J L^-1 J)^T (J L^-1 J), and J L^-1 J is upper.
  h.reverse();
  if (!cholesky(h, n)) return false;
  h.set(invertLower(h, n).reverse());
  return true;
}

/** The inverse of a lower triangle [n, n], by forward substitution on the columns of the identity. */
function invertLower(l: Float64Array, n: number): Float64Array {
  checkLengths({ l: [l, n * n] });
  const x = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = i === j ? 1 : 0;
      for (let p = j; p < i; p++) sum -= l[i * n + p] * x[p * n + j];
      x[i * n + j] = sum / l[i * n + i];
    }
  }
  return x;
}

function checkLengths(arrays: Readonly<Record<string, readonly [{ readonly length: number }, number]>>): void {
  for (const [name, [array, length]] of Object.entries(arrays)) {
    if (array.length !== length) throw new RangeError(`${name}: expected ${length} numbers, found ${array.length}`);
  }
}
