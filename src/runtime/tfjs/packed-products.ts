import type * as tf from "@tensorflow/tfjs-core";
import type { PackedMatrix } from "../../model/weight-source.ts";

/**
 * Who multiplies with packed matrices: the addon, TensorFlow.js on tiles expanded by TypeScript, or the first that
 * works.
 */
const PACKED_PRODUCTS = ["auto", "native", "typescript"] as const;
export type PackedProductsChoice = (typeof PACKED_PRODUCTS)[number];

/**
 * The two products of a packed matrix [out, in] with f32 tensors. `scratch` bounds the bytes that a part of the matrix
 * may be expanded into; one row must fit.
 */
export interface PackedProducts {
  /** x [rows, in] W^T: [rows, out] */
  multiply(x: tf.Tensor2D, matrix: PackedMatrix, scratch: Float32Array): tf.Tensor2D;
  /** The product without a tensor: into y [rows, out]. Null where a tensor comes first anyway. */
  readonly multiplyInto: ((x: tf.Tensor2D, matrix: PackedMatrix, y: Float32Array) => void) | null;
  /** dy [rows, out] W: [rows, in] */
  multiplyTransposed(dy: tf.Tensor2D, matrix: PackedMatrix, scratch: Float32Array): tf.Tensor2D;
}
