import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import type { Codec } from "../../../src/codecs/codec.ts";
import { CODECS, type CodecId, codecOf } from "../../../src/codecs/index.ts";
import type { PackedMatrix } from "../../../src/model/weight-source.ts";
import { aligned, alignedBytes, isAligned } from "../../../src/native/aligned.ts";
import { loadNative } from "../../../src/native/load.ts";
import { ensureGradients, openBackend } from "../../../src/runtime/tfjs/backend.ts";
import { headOf } from "../../../src/runtime/tfjs/output-head.ts";
import { packedMatMul, packedProducts } from "../../../src/runtime/tfjs/packed-matmul.ts";
import { Random } from "../../../src/tensor/random.ts";
import { matMul } from "../../references/ops.ts";
import { describeOnBackends } from "../../support/tensorflow.ts";
import { HAS_ADDON, needsAddon } from "../native/addon-state.ts";
import { packRounded } from "../random-model.ts";

const SOME_CODECS: readonly CodecId[] = [
  "f32",
  "bf16",
  "q8s-g32",
  "q4s-g64",
  "q4a-g32",
  "q4s-row",
  "q4t-g32-s8",
  "q4s-g32-n16",
  "q3s-g32-2of4",
  "q3a-g64-s8",
];
const SHAPES = [
  { rows: 5, cols: 7 },
  { rows: 50, cols: 96 },
  { rows: 33, cols: 130 },
];

function normals(length: number, name: string): Float32Array {
  const random = new Random(7).fork(name);
  return Float32Array.from({ length }, () => random.nextNormal());
}

function randomPacked(rows: number, cols: number, codec: CodecId): PackedMatrix {
  return packRounded({ kind: "dense", rows, cols, data: normals(rows * cols, `${rows}x${cols}`) }, codec);
}

const unpacked = (matrix: PackedMatrix) => codecOf(matrix.codec).unpackRows(matrix, 0, matrix.rows);

/** The bound of style.md for two f32 sums of the same products: 2 · cols · 2^-24 · sum |w x|. */
function expectProduct(found: Float32Array, x: Float32Array, weights: Float32Array, rows: number, cols: number): void {
  const expected = matMul(x, weights, rows, cols);
  const absolute = matMul(x.map(Math.abs), weights.map(Math.abs), rows, cols);
  expect(found.length).toBe(expected.length);
  found.forEach((value, i) => {
    expect(Math.abs(value - expected[i])).toBeLessThanOrEqual(2 * cols * 2 ** -24 * absolute[i]);
  });
}

const native = loadNative();
const PRODUCTS = (["typescript", "native"] as const).filter((products) => products === "typescript" || native.addon);

describeOnBackends("PackedMatMul on %s", (backend) => {
  describe.each(PRODUCTS)("products by %s", (packedProducts) => {
    beforeAll(async () => {
      await openBackend({ backend, packedProducts });
      await ensureGradients();
    });

    it.each(SOME_CODECS)("equals the dense product of the unpacked weights, %s", (codec) => {
      for (const { rows, cols } of SHAPES) {
        const matrix = randomPacked(rows, cols, codec);
        const x = normals(3 * cols, "x");
        // One row at a time; a few tiles; all at once.
        for (const scratch of [cols, 20 * cols, rows * cols + 5]) {
          const before = tf.memory().numTensors;
          const input = tf.tensor2d(x, [3, cols]);
          const y = packedMatMul(input, matrix, new Float32Array(scratch));
          expect(y.shape).toEqual([3, rows]);
          expectProduct(y.dataSync<"float32">(), x, unpacked(matrix), 3, cols);
          tf.dispose([input, y]);
          expect(tf.memory().numTensors).toBe(before);
        }
      }
    });

    it("has the gradient of the dense product, and that of finite differences", () => {
      const [rows, cols] = [40, 33];
      const matrix = randomPacked(rows, cols, "q8s-g32");
      const weights = unpacked(matrix);
      const scratch = new Float32Array(17 * cols);
      const probe = normals(2 * rows, "probe");
      const loss = (product: tf.Tensor2D) =>
        tf.sum<tf.Scalar>(tf.mul(tf.square(product), tf.tensor2d(probe, [2, rows])));
      const before = tf.memory().numTensors;
      const numbers = tf.tidy(() => {
        const x = tf.tensor2d(normals(2 * cols, "x"), [2, cols]);
        const dense = tf.transpose(tf.tensor2d(weights, [rows, cols]));
        const packedLoss = (input: tf.Tensor) => loss(packedMatMul(tf.reshape(input, [2, cols]), matrix, scratch));
        const ofPacked = tf.grad(packedLoss)(x);
        const ofDense = tf.grad((input: tf.Tensor) => loss(tf.matMul(tf.reshape(input, [2, cols]), dense)))(x);
        const step = 1 / 64;
        const along = tf.tensor2d(normals(2 * cols, "direction"), [2, cols]);
        const difference = tf.sub(
          packedLoss(tf.add(x, tf.mul(along, step))),
          packedLoss(tf.sub(x, tf.mul(along, step))),
        );
        return {
          apart: tf.max(tf.abs(tf.sub(ofPacked, ofDense))).arraySync(),
          largest: tf.max(tf.abs(ofDense)).arraySync(),
          slope: tf.sum(tf.mul(ofPacked, along)).arraySync(),
          measured: Number(difference.arraySync()) / (2 * step),
        };
      });
      expect(tf.memory().numTensors).toBe(before);
      expect(numbers.largest).toBeGreaterThan(1);
      expect(numbers.apart).toBeLessThanOrEqual(1e-5 * Number(numbers.largest));
      // The loss is quadratic in x: central differences are exact but for rounding.
      expect(Math.abs(Number(numbers.slope) - numbers.measured)).toBeLessThanOrEqual(2e-3 * Math.abs(numbers.measured));
    });

    it("refuses inputs of another width and type", () => {
      const matrix = randomPacked(4, 8, "f32");
      tf.tidy(() => {
        expect(() => packedMatMul(tf.zeros([1, 7]), matrix, new Float32Array(64))).toThrow(
          /x has 7 columns, the matrix 8/,
        );
        if (packedProducts === "native") {
          const whole = () => packedMatMul(tf.zeros([1, 8], "int32"), matrix, new Float32Array(64));
          expect(whole).toThrow(/expected a tensor of float32/);
          return;
        }
        expect(() => packedMatMul(tf.zeros([1, 8]), matrix, new Float32Array(7))).toThrow(/does not fit the scratch/);
      });
    });
  });
});

describe.skipIf(!HAS_ADDON)(needsAddon("the addon's products"), () => {
  beforeAll(async () => {
    await openBackend({ backend: "cpu", packedProducts: "native" });
    await ensureGradients();
  });

  it("do not depend on where the bytes lie, however many parts the matrix has", () => {
    for (const { rows, cols } of [...SHAPES, { rows: 2310, cols: 500 }]) {
      const matrix = randomPacked(rows, cols, "f32");
      const places = [aligned(matrix.bytes), unaligned(matrix.bytes)];
      expect(places.map(isAligned)).toEqual([true, false]);
      const results = places.map((bytes) => productAndGradient({ ...matrix, bytes }, normals(2 * cols, "x")));
      expect(results[1]).toEqual(results[0]);
    }
  });

  it("give a head's logits without a tensor of them, as a tile at a time would", async () => {
    const matrix = randomPacked(700, 96, "q6a-g32");
    const x = normals(5 * 96, "x");
    const bias = normals(700, "bias");
    const without = new Float32Array(700);
    for (const packedProducts of ["native", "typescript"] as const) {
      await openBackend({ backend: "cpu", packedProducts });
      const input = tf.tensor2d(x, [5, 96]);
      const logits = await headOf(matrix, without, new Float32Array(20 * 96)).logits(input);
      expectProduct(logits, x, unpacked(matrix), 5, 96);
      const into = new Float32Array(5 * 700);
      expect(await headOf(matrix, bias, new Float32Array(20 * 96)).logits(input, into)).toBe(into);
      expect(into).toEqual(logits.map((value, i) => value + bias[i % 700]));
      input.dispose();
    }
  });

  it("of no rows are none", () => {
    const none = tf.tensor2d([], [0, 8]);
    expect(packedMatMul(none, randomPacked(4, 8, "q8s-row"), new Float32Array(8)).shape).toEqual([0, 4]);
  });

  it("take their place where they can, and leave it when told", async () => {
    await openBackend({ backend: "cpu" });
    expect(packedProducts().multiplyInto).not.toBeNull();
    await openBackend({ backend: "cpu", packedProducts: "typescript" });
    expect(packedProducts().multiplyInto).toBeNull();
  });
});

/** A copy that begins one byte off a multiple of 64. */
function unaligned(bytes: Uint8Array): Uint8Array {
  const copy = alignedBytes(bytes.length + 64).subarray(1, bytes.length + 1);
  copy.set(bytes);
  return copy;
}

/** x W^T, and the gradient of the sum of its squares. */
function productAndGradient(matrix: PackedMatrix, x: Float32Array): number[][] {
  return tf.tidy(() => {
    const product = (input: tf.Tensor) =>
      packedMatMul(tf.reshape(input, [-1, matrix.cols]), matrix, new Float32Array(matrix.cols));
    const input = tf.tensor2d(x, [x.length / matrix.cols, matrix.cols]);
    const gradient = tf.grad((at: tf.Tensor) => tf.sum(tf.square(product(at))))(input);
    return [Array.from(product(input).dataSync()), Array.from(gradient.dataSync())];
  });
}

it("covers every family of codecs", () => {
  const sorts = (codecs: readonly Codec[]) =>
    [...new Set(codecs.flatMap(({ scheme, scaleKind }) => [scheme, `${scaleKind}`]))].sort();
  expect(sorts(SOME_CODECS.map(codecOf))).toEqual(sorts(Object.values(CODECS)));
});
