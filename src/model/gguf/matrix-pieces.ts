import { CODECS } from "../../codecs/index.ts";
import { unpackNumbers } from "../../codecs/integer-numbers.ts";
import { encodeBlocks, isBlockType } from "../../formats/gguf/blocks.ts";
import type { GgufTensorType } from "../../formats/gguf/tensor-types.ts";
import { f32ToBf16Array, f32ToF16Array } from "../../tensor/half.ts";
import { type Matrix, matrixRows } from "../weight-source.ts";
import { pairedRow } from "./llama-tensors.ts";

/** Enough weights at a time to be fast, few enough for memory: an embedding can be larger than all blocks together. */
const BAND_WEIGHTS = 4 * 1024 * 1024;

/**
 * A matrix as a GGUF tensor of that type, in pieces of whole rows. `headDim`: rows of q and k, which change places
 * within each attention head; 0 for the others.
 */
export function* matrixPieces(matrix: Matrix, type: GgufTensorType, headDim: number): Generator<Uint8Array> {
  const unit = Math.max(1, headDim);
  const bandRows = Math.max(1, Math.floor(BAND_WEIGHTS / matrix.cols / unit)) * unit;
  for (let from = 0; from < matrix.rows; from += bandRows) {
    const to = Math.min(matrix.rows, from + bandRows);
    const order = headDim === 0 ? null : Int32Array.from({ length: to - from }, (_, i) => pairedRow(i, headDim));
    yield rowsAs(matrix, type, from, to, order);
  }
}

function rowsAs(matrix: Matrix, type: GgufTensorType, from: number, to: number, order: Int32Array | null): Uint8Array {
  if (!isBlockType(type)) return floatBytes(type, inOrder(matrixRows(matrix, from, to), to - from, order));
  if (matrix.kind === "dense") throw new TypeError(`${type}: expected codes, found floats`);
  const { codes, scales, minima } = unpackNumbers(CODECS[matrix.codec], matrix, from, to);
  const rows = to - from;
  return encodeBlocks(type, {
    codes: inOrder(codes, rows, order),
    scales: inOrder(scales, rows, order),
    minima: minima && inOrder(minima, rows, order),
  });
}

/** Row i of the result is row order[i] of the numbers. */
function inOrder<T extends Uint8Array | Float32Array>(numbers: T, rows: number, order: Int32Array | null): T;
function inOrder(numbers: Uint8Array | Float32Array, rows: number, order: Int32Array | null) {
  if (!order) return numbers;
  const width = numbers.length / rows;
  const moved = numbers.slice();
  for (let i = 0; i < rows; i++) moved.set(numbers.subarray(order[i] * width, (order[i] + 1) * width), i * width);
  return moved;
}

function floatBytes(type: "F32" | "F16" | "BF16", values: Float32Array): Uint8Array {
  const stored = type === "F32" ? values : type === "F16" ? f32ToF16Array(values) : f32ToBf16Array(values);
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}
