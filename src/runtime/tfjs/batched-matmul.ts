import * as tf from "@tensorflow/tfjs-core";

/**
 * a [batch, m, k] times b [batch, k, n]: [batch, m, n]. The wasm backend has a fast product for single matrices only,
 * so there each of the batch takes a product of its own.
 */
export function batchedMatMul(a: tf.Tensor3D, b: tf.Tensor3D): tf.Tensor3D {
  if (tf.getBackend() !== "wasm") return tf.matMul(a, b);
  const [batch, m] = a.shape;
  const n = b.shape[2];
  const products = Array.from({ length: batch }, (_, i): tf.Tensor2D => tf.matMul(matrixAt(a, i), matrixAt(b, i)));
  return tf.reshape<tf.Rank.R3>(tf.concat2d(products, 0), [batch, m, n]);
}

/** Matrix `index` of a batch. */
function matrixAt(batch: tf.Tensor3D, index: number): tf.Tensor2D {
  const [, rows, cols] = batch.shape;
  return tf.reshape<tf.Rank.R2>(tf.slice(batch, [index, 0, 0], [1, rows, cols]), [rows, cols]);
}
