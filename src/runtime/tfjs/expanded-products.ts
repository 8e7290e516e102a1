import * as tf from "@tensorflow/tfjs-core";
import type { PackedShape } from "../../codecs/codec.ts";
import { codecOf } from "../../codecs/index.ts";
import type { PackedMatrix } from "../../model/weight-source.ts";
import type { PackedProducts } from "./packed-products.ts";

/** Products by TensorFlow.js, a tile of the matrix at a time expanded by TypeScript: for every backend and machine. */
export const expandedProducts: PackedProducts = { multiply, multiplyInto: null, multiplyTransposed };

/**
 * y = x W^T, tile by tile: a tile is expanded as [in, tile], so that no operand is transposed (wasm is slow on those).
 */
function multiply(x: tf.Tensor2D, matrix: PackedMatrix, scratch: Float32Array): tf.Tensor2D {
  const { cols } = matrix;
  const codec = codecOf(matrix.codec);
  const parts = tilesOf(matrix, scratch).map(([from, to]) => {
    const tile = codec.unpackTransposed(matrix, from, to, scratch.subarray(0, cols * (to - from)));
    return withMatrix(tile, cols, to - from, (weights) => tf.matMul(x, weights));
  });
  return joined(parts, (all) => tf.concat(all, 1));
}

/** dx = dy W, summed over the tiles. */
function multiplyTransposed(dy: tf.Tensor2D, matrix: PackedMatrix, scratch: Float32Array): tf.Tensor2D {
  const { cols } = matrix;
  const codec = codecOf(matrix.codec);
  const parts = tilesOf(matrix, scratch).map(([from, to]) => {
    const tile = codec.unpackRows(matrix, from, to, scratch.subarray(0, (to - from) * cols));
    return withMatrix(tile, to - from, cols, (weights) =>
      tf.tidy(() => tf.matMul(tf.slice(dy, [0, from], [-1, to - from]), weights)),
    );
  });
  return joined(parts, (all) => tf.addN(all));
}

/** Row ranges [from, to) whose expansion fits the scratch array; whole packing tiles where several rows fit. */
function tilesOf({ rows, cols }: PackedShape, scratch: Float32Array): [number, number][] {
  const fitting = Math.floor(scratch.length / cols);
  if (fitting < 1)
    throw new Error(`PackedMatMul: a row of ${cols} does not fit the scratch array of ${scratch.length}`);
  const step = fitting >= 16 ? fitting - (fitting % 16) : fitting;
  return Array.from({ length: Math.ceil(rows / step) }, (_, i) => [i * step, Math.min(rows, (i + 1) * step)]);
}

/** Uses `values` as a tensor for one operation; afterwards the array may be written again. */
function withMatrix(
  values: Float32Array,
  rows: number,
  cols: number,
  use: (weights: tf.Tensor2D) => tf.Tensor2D,
): tf.Tensor2D {
  const weights = tf.tensor2d(values, [rows, cols]);
  try {
    return use(weights);
  } finally {
    weights.dispose();
  }
}

function joined(parts: tf.Tensor2D[], join: (parts: tf.Tensor2D[]) => tf.Tensor2D): tf.Tensor2D {
  if (parts.length === 1) return parts[0];
  const whole = join(parts);
  for (const part of parts) part.dispose();
  return whole;
}
