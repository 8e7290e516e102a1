import * as tf from "@tensorflow/tfjs-core";
import { codecIdOf } from "../../codecs/index.ts";
import type { PackedMatrix } from "../../model/weight-source.ts";
import { loadNative, openEngine } from "../../native/load.ts";
import { expandedProducts } from "./expanded-products.ts";
import { nativeProducts } from "./native-products.ts";
import type { PackedProducts, PackedProductsChoice } from "./packed-products.ts";

/** Name of the kernel: another implementation takes its place by registering the same name for a backend. */
export const PACKED_MATMUL = "PackedMatMul";
/** The product with the matrix itself in place of its transpose: the gradient. */
const PACKED_MATMUL_TRANSPOSED = "PackedMatMulTransposed";

/** What the kernels get beside the tensor: the matrix, and the array that a tile of it may be expanded into. */
interface PackedAttributes {
  readonly matrix: PackedMatrix;
  readonly scratch: Float32Array;
}

/**
 * x [rows, in] times the transpose of a packed matrix [out, in]: [rows, out]. Where the addon is not used, the matrix
 * is expanded a tile of its rows at a time into `scratch`, which bounds the bytes of a tile and must hold one row.
 * Differentiable in x; the weights are constants.
 */
export function packedMatMul(x: tf.Tensor2D, matrix: PackedMatrix, scratch: Float32Array): tf.Tensor2D {
  if (x.shape[1] !== matrix.cols)
    throw new Error(`packedMatMul: x has ${x.shape[1]} columns, the matrix ${matrix.cols}`);
  const { codec, rows, cols, bytes } = matrix;
  return tf.engine().runKernel<tf.Tensor2D>(PACKED_MATMUL, { x }, { codec, rows, cols, bytes, scratch });
}

export interface PackedProductsOptions {
  readonly choice: PackedProductsChoice;
  /** Threads of the addon. */
  readonly threads: number;
}

/** Who multiplies, by the kernel that was registered for a backend. */
const REGISTERED = new WeakMap<tf.KernelConfig["kernelFunc"], () => PackedProducts>();

/** The products that the current backend's kernels call. */
export function packedProducts(): PackedProducts {
  const kernel = tf.getKernel(PACKED_MATMUL, tf.getBackend());
  const products = kernel && REGISTERED.get(kernel.kernelFunc);
  if (!products) throw new Error(`PackedMatMul: not registered for the backend ${tf.getBackend()}`);
  return products();
}

/** Registers kernels and gradient for a backend, in place of earlier ones. The addon is loaded by the first product. */
export function registerPackedMatMul(backendName: string, options: PackedProductsOptions): void {
  let products: PackedProducts | null = null;
  const chosen = () => {
    products ??= choose(options);
    return products;
  };
  const multiply = kernelOf((x, { matrix, scratch }) => chosen().multiply(x, matrix, scratch));
  REGISTERED.set(multiply, chosen);
  register(PACKED_MATMUL, backendName, multiply);
  const transposed = kernelOf((dy, { matrix, scratch }) => chosen().multiplyTransposed(dy, matrix, scratch));
  register(PACKED_MATMUL_TRANSPOSED, backendName, transposed);
  if (tf.getGradient(PACKED_MATMUL)) return;
  tf.registerGradient({
    kernelName: PACKED_MATMUL,
    gradFunc: (dy, _saved, attrs) => ({
      x: () => tf.engine().runKernel<tf.Tensor2D>(PACKED_MATMUL_TRANSPOSED, { x: matrixTensor(dy) }, attrs),
    }),
  });
}

/** The addon's products where it loads, unless told otherwise. Throws where it was asked for by name and is missing. */
function choose({ choice, threads }: PackedProductsOptions): PackedProducts {
  if (choice === "typescript") return expandedProducts;
  if (choice === "native" || loadNative().addon) return nativeProducts(openEngine({ threads }));
  return expandedProducts;
}

function kernelOf(
  compute: (x: tf.Tensor2D, attributes: PackedAttributes) => tf.Tensor2D,
): tf.KernelConfig["kernelFunc"] {
  return ({ inputs, attrs }) => compute(matrixTensor(inputs.x), attributesOf(attrs));
}

function register(kernelName: string, backendName: string, kernelFunc: tf.KernelConfig["kernelFunc"]): void {
  if (tf.getKernel(kernelName, backendName)) tf.unregisterKernel(kernelName, backendName);
  tf.registerKernel({ kernelName, backendName, kernelFunc });
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
  return { matrix: { kind: "packed", codec: codecIdOf(codec), rows, cols, bytes }, scratch };
}
