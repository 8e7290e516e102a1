import { describe, expect, it } from "vitest";
import { orthogonalMatrix } from "../../../experiments/rotation/orthogonal.ts";

/** The matrix written out, row by row. */
function matrixOf(size: number, seed: number): Float64Array[] {
  const { rotate } = orthogonalMatrix(size, seed);
  return Array.from({ length: size }, (_, i) => {
    const row = new Float64Array(size);
    row[i] = 1;
    rotate(row);
    return row;
  });
}

const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i], 0);

describe("orthogonal matrix", () => {
  it.each([1, 2, 3, 8, 9, 15, 36, 60, 64, 101])("of size %i is orthogonal", (size) => {
    const rows = matrixOf(size, 4);
    for (const [i, row] of rows.entries()) {
      for (const [j, other] of rows.entries())
        expect(Math.abs(dot(row, other) - (i === j ? 1 : 0))).toBeLessThan(1e-13);
    }
  });

  it("spreads every channel over all others", () => {
    for (const size of [64, 576]) {
      const { rotate } = orthogonalMatrix(size, 1);
      for (const channel of [0, 7, size - 1]) {
        const row = new Float64Array(size);
        row[channel] = 1;
        rotate(row);
        expect(row.every((value) => value !== 0)).toBe(true);
        expect(Math.max(...row.map(Math.abs))).toBeLessThan(6 / Math.sqrt(size));
      }
    }
  });

  it("is its seed's", () => {
    expect(matrixOf(12, 3)).toEqual(matrixOf(12, 3));
    expect(matrixOf(12, 3)).not.toEqual(matrixOf(12, 4));
    expect(() => orthogonalMatrix(4, 1).rotate(new Float64Array(5))).toThrow("expected 4 numbers, found 5");
  });
});
