import * as tf from "@tensorflow/tfjs-core";
import { TILE_ROWS } from "../../codecs/codec.ts";
import { codecOf } from "../../codecs/index.ts";
import type { PackedMatrix } from "../../model/weight-source.ts";
import { EXPAND_BYTES } from "../../model/workspace.ts";
import type { NativeEngine, NativeMatrix } from "../../native/addon.ts";
import { alignedBytes, isAligned } from "../../native/aligned.ts";
import { codecForm } from "../../native/codec-form.ts";
import type { PackedProducts } from "./packed-products.ts";

/** Rows [from, to) of a matrix, as the addon takes them. */
interface Part {
  readonly from: number;
  readonly matrix: NativeMatrix;
}

/**
 * Products by the addon, on the packed bytes themselves, with f32 activations. Numbers pass between TensorFlow.js and
 * the addon as arrays, whatever the backend. Bytes that are not aligned go through a buffer of EXPAND_BYTES, part by
 * part.
 */
export function nativeProducts(engine: NativeEngine): PackedProducts {
  let buffer: Uint8Array | null = null;

  /** The matrix in parts of at most EXPAND_BYTES packed bytes; a part is good until the next one is taken. */
  function* partsOf({ codec: id, rows, cols, bytes }: PackedMatrix): Generator<Part> {
    const codec = codecOf(id);
    const tileBytes = codec.packedBytes(TILE_ROWS, cols);
    const tiles = Math.max(1, Math.floor(EXPAND_BYTES / tileBytes));
    const aligned = isAligned(bytes);
    for (let from = 0; from < rows; from += tiles * TILE_ROWS) {
      const start = (from / TILE_ROWS) * tileBytes;
      const part = bytes.subarray(start, start + tiles * tileBytes);
      const partRows = Math.min(rows - from, tiles * TILE_ROWS);
      yield { from, matrix: { ...codecForm(codec), rows: partRows, cols, bytes: aligned ? part : alignedCopy(part) } };
    }
  }

  function alignedCopy(part: Uint8Array): Uint8Array {
    if (!buffer || buffer.length < part.length) buffer = alignedBytes(Math.max(part.length, EXPAND_BYTES));
    const copy = buffer.subarray(0, part.length);
    copy.set(part);
    return copy;
  }

  function multiply(x: tf.Tensor2D, matrix: PackedMatrix): tf.Tensor2D {
    const y = new Float32Array(x.shape[0] * matrix.rows);
    multiplyInto(x, matrix, y);
    return tf.tensor2d(y, [x.shape[0], matrix.rows]);
  }

  function multiplyInto(x: tf.Tensor2D, matrix: PackedMatrix, y: Float32Array): void {
    const input = numbersOf(x);
    if (input.length === 0) return;
    if (isAligned(matrix.bytes)) {
      const { codec, rows, cols, bytes } = matrix;
      engine.product({ ...codecForm(codecOf(codec)), rows, cols, bytes }, input, y);
      return;
    }
    for (const part of partsOf(matrix)) {
      const piece = new Float32Array(x.shape[0] * part.matrix.rows);
      engine.product(part.matrix, input, piece);
      copyColumns(piece, part.matrix.rows, y, matrix.rows, part.from);
    }
  }

  /**
   * Summed over the parts, of which there are as many wherever the bytes lie: the sums' rounding must not depend on
   * that.
   */
  function multiplyTransposed(dy: tf.Tensor2D, matrix: PackedMatrix): tf.Tensor2D {
    const input = numbersOf(dy);
    const [rows, outputs] = [dy.shape[0], matrix.rows];
    const dx = new Float32Array(rows * matrix.cols);
    if (rows === 0) return tf.tensor2d(dx, [rows, matrix.cols]);
    for (const part of partsOf(matrix)) {
      const whole = part.matrix.rows === outputs;
      const piece = whole ? dx : new Float32Array(dx.length);
      const columns = whole ? input : takeColumns(input, outputs, part.from, part.matrix.rows);
      engine.productTransposed(part.matrix, columns, piece);
      if (!whole) for (let i = 0; i < dx.length; i++) dx[i] += piece[i];
    }
    return tf.tensor2d(dx, [rows, matrix.cols]);
  }

  return { multiply, multiplyInto, multiplyTransposed };
}

/** A tensor's numbers; another type than f32 is a bug of the caller. */
function numbersOf(tensor: tf.Tensor2D): Float32Array {
  const numbers = tensor.dataSync();
  if (numbers instanceof Float32Array) return numbers;
  throw new Error(`PackedMatMul: expected a tensor of float32, found ${tensor.dtype}`);
}

/** Writes columns [from, from + width) of `target` [rows, stride]. */
function copyColumns(piece: Float32Array, width: number, target: Float32Array, stride: number, from: number): void {
  for (let row = 0; row * width < piece.length; row++) {
    target.set(piece.subarray(row * width, (row + 1) * width), row * stride + from);
  }
}

/** Columns [from, from + width) of `source` [rows, stride]. */
function takeColumns(source: Float32Array, stride: number, from: number, width: number): Float32Array {
  const out = new Float32Array((source.length / stride) * width);
  for (let row = 0; row * width < out.length; row++) {
    out.set(source.subarray(row * stride + from, row * stride + from + width), row * width);
  }
  return out;
}
