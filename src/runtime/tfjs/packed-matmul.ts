import * as tf from "@tensorflow/tfjs-core";
import type { Codec, PackedShape } from "../../codecs/codec.ts";
import { codecOf } from "../../codecs/index.ts";
import type { PackedMatrix } from "../../model/weight-source.ts";

/** Name of the kernel: a faster implementation takes its place by registering the same name for a backend. */
export const PACKED_MATMUL = "PackedMatMul";

/** What the kernel gets beside `x`: the matrix, and the array that a tile of it is expanded into. */
interface PackedAttributes {
  readonly codec: Codec;
  readonly shape: PackedShape;
  readonly scratch: Float32Array;
}

/**
 * x [rows, in] times the transpose of a packed matrix [out, in]: [rows, out]. The matrix is expanded a tile of its rows at a time
 * into `scratch`, which bounds the bytes of a tile and must hold one row. Differentiable in x; the weights are constants.
 */
export function packedMatMul(x: tf.Tensor2D, matrix: PackedMatrix, scratch: Float32Array): tf.Tensor2D {
  if (x.shape[1] !== matrix.cols)
    throw new Error(`packedMatMul: x has ${x.shape[1]} columns, the matrix ${matrix.cols}`);
  const { codec, rows, cols, bytes } = matrix;
  return tf.engine().runKernel<tf.Tensor2D>(PACKED_MATMUL, { x }, { codec, rows, cols, bytes, scratch });
}

/** Registers kernel and gradient for a backend; does nothing the second time. */
export function registerPackedMatMul(backendName: string): void {
  if (!tf.getKernel(PACKED_MATMUL, backendName)) {
    tf.registerKernel({
      kernelName: PACKED_MATMUL,
      backendName,
      kernelFunc: ({ inputs, attrs }) => multiply(matrixTensor(inputs.x), attributesOf(attrs)),
    });
  }
  if (!tf.getGradient(PACKED_MATMUL)) {
    tf.registerGradient({
      kernelName: PACKED_MATMUL,
      gradFunc: (dy, _saved, attrs) => ({ x: () => multiplyTransposed(matrixTensor(dy), attributesOf(attrs)) }),
    });
  }
}

/** y = x W^T, tile by tile: a tile is expanded as [in, tile], so that no operand is transposed (wasm is slow on those). */
function multiply(x: tf.Tensor2D, { codec, shape, scratch }: PackedAttributes): tf.Tensor2D {
  const { cols } = shape;
  const parts = tilesOf(shape, scratch).map(([from, to]) => {
    const tile = codec.unpackTransposed(shape, from, to, scratch.subarray(0, cols * (to - from)));
    return withMatrix(tile, cols, to - from, (weights) => tf.matMul(x, weights));
  });
  return joined(parts, (all) => tf.concat(all, 1));
}

/** dx = dy W, summed over the tiles. */
function multiplyTransposed(dy: tf.Tensor2D, { codec, shape, scratch }: PackedAttributes): tf.Tensor2D {
  const { cols } = shape;
  const parts = tilesOf(shape, scratch).map(([from, to]) => {
    const tile = codec.unpackRows(shape, from, to, scratch.subarray(0, (to - from) * cols));
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

function matrixTensor(value: tf.TensorInfo | tf.Tensor | tf.Tensor[] | undefined): tf.Tensor2D {
  if (value instanceof tf.Tensor && isMatrix(value)) return value;
  throw new Error("PackedMatMul: expected one tensor of rank 2");
}

function isMatrix(tensor: tf.Tensor): tensor is tf.Tensor2D {
  return tensor.rank === 2;
}

function attributesOf(attrs: tf.NamedAttrMap | undefined): PackedAttributes {
  const { codec, rows, cols, bytes, scratch } = attrs ?? {};
  if (
    typeof codec !== "string" ||
    typeof rows !== "number" ||
    typeof cols !== "number" ||
    !(bytes instanceof Uint8Array) ||
    !(scratch instanceof Float32Array)
  ) {
    throw new Error("PackedMatMul: expected a packed matrix and a scratch array");
  }
  return { codec: codecOf(codec), shape: { rows, cols, bytes }, scratch };
}
