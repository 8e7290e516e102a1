import { describe, expect, it } from "vitest";
import { hessianError } from "../../src/maths/plain/hessian-error.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import type { DenseMatrix } from "../../src/model/weight-source.ts";
import { placesIn } from "../../src/pruning/cut.ts";
import { Removal } from "../../src/pruning/removal.ts";
import { type InputGram, prepareInput, type QuantizerInput } from "../../src/quantization/quantizer-input.ts";
import { Random } from "../../src/tensor/random.ts";
import { correlatedGram } from "../quantization/correlated-gram.ts";

const ROWS = 5;
const COLS = 24;

function randomMatrix(seed: number): DenseMatrix {
  const random = new Random(seed);
  const data = Float32Array.from({ length: ROWS * COLS }, () => random.nextNormal());
  return { kind: "dense", rows: ROWS, cols: COLS, data };
}

async function inputOf(gram: InputGram): Promise<QuantizerInput> {
  const input = await prepareInput(plainMaths, gram, "factor");
  if (!input) throw new Error("no input");
  return input;
}

/** The damped gram, in f64. */
function damped({ gram, cols, damping }: QuantizerInput): Float64Array {
  return Float64Array.from(gram, (value, i) => value + (i % (cols + 1) === 0 ? damping : 0));
}

/** Solves h x = b for a positive definite h [n, n] by elimination. */
function solve(h: readonly number[][], b: readonly number[]): number[] {
  const a = h.map((row, i) => [...row, b[i]]);
  for (const [i, row] of a.entries())
    for (const below of a.slice(i + 1)) {
      const factor = below[i] / row[i];
      for (let j = i; j < row.length; j++) below[j] -= factor * row[j];
    }
  const x: number[] = Array(b.length).fill(0);
  for (let i = b.length - 1; i >= 0; i--)
    x[i] = (a[i][b.length] - x.reduce((sum, value, j) => (j > i ? sum + a[i][j] * value : sum), 0)) / a[i][i];
  return x;
}

/** The best weights of the columns kept, each row by itself: W'_K = W H_:K H_KK^-1. */
function leastSquares(input: QuantizerInput, { data }: DenseMatrix, kept: readonly number[]): number[] {
  const h = damped(input);
  const square = kept.map((i) => kept.map((j) => h[i * COLS + j]));
  return Array.from({ length: ROWS }, (_, row) => {
    const weights = data.subarray(row * COLS, (row + 1) * COLS);
    return solve(
      square,
      kept.map((k) => weights.reduce((sum, weight, j) => sum + weight * h[j * COLS + k], 0)),
    );
  }).flat();
}

/** tr(D H D^T), D = matrix - the kept columns at their places. */
function errorOf(
  h: ArrayLike<number>,
  { data }: DenseMatrix,
  values: ArrayLike<number>,
  kept: readonly number[],
): number {
  const changed = Float32Array.from(data);
  for (let row = 0; row < ROWS; row++) {
    const own = changed.subarray(row * COLS, (row + 1) * COLS).fill(0);
    for (const [i, col] of kept.entries()) own[col] = values[row * kept.length + i];
  }
  const options = { w: data, values: changed, gram: Float32Array.from(h), rows: ROWS, cols: COLS };
  return hessianError(options) * ROWS;
}

describe.each([1, 4])("columns in groups of %i", (size) => {
  it("are repaired as least squares does it, whatever order they went in", async () => {
    const input = await inputOf(correlatedGram(COLS, 2));
    const matrix = randomMatrix(3);
    const removal = new Removal(plainMaths, input, matrix, size);
    await removal.keepOnly(Math.floor(COLS / size / 3));
    const kept = placesIn(removal.left, size);
    const { data, cols } = removal.matrix();
    expect(cols).toBe(kept.length);
    for (const [i, value] of leastSquares(input, matrix, kept).entries()) expect(data[i]).toBeCloseTo(value, 4);
  });

  it("go one at a time by what the best repair leaves", async () => {
    const input = await inputOf(correlatedGram(COLS, 4));
    const matrix = randomMatrix(5);
    const removal = new Removal(plainMaths, input, matrix, size);
    const all = removal.left;
    await removal.keepOnly(all.length - 1);
    const costs = all.map((group) => {
      const kept = placesIn(all.filter((other) => other !== group), size); // biome-ignore format: short
      const values = leastSquares(input, matrix, kept);
      const own = placesIn([group], size).map((col) =>
        Array.from({ length: ROWS }, (_, row) => matrix.data[row * COLS + col]),
      );
      const damping = input.damping * own.flat().reduce((sum, value) => sum + value * value, 0);
      return errorOf(damped(input), matrix, values, kept) - damping;
    });
    const least = Math.min(...costs);
    expect(removal.left).toEqual(all.filter((_, group) => costs[group] !== least));
    expect(removal.error).toBeCloseTo(least, 3);
  });

  it("leave less error than the same columns without a repair", async () => {
    const input = await inputOf(correlatedGram(COLS, 6));
    const matrix = randomMatrix(7);
    const removal = new Removal(plainMaths, input, matrix, size);
    await removal.keepOnly(COLS / size / 2);
    const kept = placesIn(removal.left, size);
    const plain = Array.from({ length: ROWS }, (_, row) => kept.map((col) => matrix.data[row * COLS + col])).flat();
    const repaired = errorOf(input.gram, matrix, removal.matrix().data, kept);
    expect(repaired).toBeLessThan(0.7 * errorOf(input.gram, matrix, plain, kept));
  });

  it("cost nothing, and go first, where inputs are always 0", async () => {
    const { gram } = correlatedGram(COLS, 8);
    const dead = placesIn([1, 3], size);
    const silent = gram.map((value, i) => (dead.includes(i % COLS) || dead.includes(Math.floor(i / COLS)) ? 0 : value));
    const matrix = randomMatrix(9);
    const removal = new Removal(plainMaths, await inputOf({ cols: COLS, gram: silent }), matrix, size);
    const all = removal.left;
    await removal.keepOnly(all.length - 2);
    expect(removal.left).toEqual(all.filter((group) => group !== 1 && group !== 3));
    expect(removal.error).toBeLessThan(1e-6);
    const { data, cols } = removal.matrix();
    const kept = placesIn(removal.left, size);
    for (let row = 0; row < ROWS; row++)
      for (const [i, col] of kept.entries()) expect(data[row * cols + i]).toBeCloseTo(matrix.data[row * COLS + col], 5);
  });
});
