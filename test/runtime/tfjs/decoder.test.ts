import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import type { AttentionSpec } from "../../../src/model/decoder-spec.ts";
import { ropeTable } from "../../../src/model/rope.ts";
import { ACTIVATION_FUNCTIONS } from "../../../src/runtime/tfjs/activations.ts";
import { attendCached, attendWithin } from "../../../src/runtime/tfjs/attention.ts";
import { ensureGradients, openBackend } from "../../../src/runtime/tfjs/backend.ts";
import { normalize, type RunBuffers, rotate, runBlock } from "../../../src/runtime/tfjs/decoder.ts";
import { createWideningBuffers, PagedKvCache } from "../../../src/runtime/tfjs/kv-cache.ts";
import { loadBlock } from "../../../src/runtime/tfjs/load-weights.ts";
import { ropeRows } from "../../../src/runtime/tfjs/rope-rows.ts";
import { Random } from "../../../src/tensor/random.ts";
import * as plain from "../../references/ops.ts";
import { describeOnBackends } from "../../support/tensorflow.ts";
import { maxDifference } from "../compare.ts";
import { packedSource, randomSource, type Shape, smallSpec } from "../random-model.ts";

const buffers: RunBuffers = { expand: new Float32Array(4096), widening: createWideningBuffers() };

function normals(length: number, name: string): Float32Array {
  const random = new Random(3).fork(name);
  return Float32Array.from({ length }, () => random.nextNormal());
}

/** The numbers of what `work` makes; everything else is disposed of. */
function numbers(work: () => tf.Tensor): Float32Array {
  const result = tf.tidy(work);
  const values = result.dataSync<"float32">().slice();
  result.dispose();
  return values;
}

function attentionOf(shape: Shape): AttentionSpec {
  const { attention } = smallSpec(shape).blocks[0];
  if (!attention) throw new Error("the small model has attention");
  return attention;
}

describeOnBackends("decoder on %s against the plain maths", (backend) => {
  beforeAll(() => openBackend({ backend }).then(() => undefined));

  it("normalises", () => {
    const [x, weight, bias] = [normals(60, "x"), normals(12, "w"), normals(12, "b")];
    const run = (kind: "rms" | "layer") =>
      numbers(() => {
        const weights = { weight: tf.tensor1d(weight), bias: kind === "layer" ? tf.tensor1d(bias) : null };
        return normalize(tf.tensor2d(x, [5, 12]), { kind, size: 12, eps: 1e-5 }, weights);
      });
    expect(maxDifference(run("rms"), plain.rmsNorm(x, weight, 1e-5))).toBeLessThan(1e-5);
    expect(maxDifference(run("layer"), plain.layerNorm(x, weight, bias, 1e-5))).toBeLessThan(1e-5);
  });

  it("activates", () => {
    const x = Float32Array.from({ length: 161 }, (_, i) => (i - 80) / 10);
    const expected = {
      silu: plain.silu,
      "gelu-erf": plain.geluErf,
      "gelu-tanh": plain.geluTanh,
      relu: (v: number) => Math.max(0, v),
    };
    for (const [name, activate] of Object.entries(ACTIVATION_FUNCTIONS)) {
      const slow = Object.entries(expected).find(([known]) => known === name)?.[1];
      if (!slow) throw new Error(`no slow twin of ${name}`);
      expect(
        maxDifference(
          numbers(() => activate(tf.tensor2d(x, [7, 23]))),
          x.map(slow),
        ),
      ).toBeLessThan(3e-6);
    }
  });

  it("rotates the first channels of every head", () => {
    const rope = { dims: 4, theta: 50, scaling: { kind: "none" as const } };
    const x = normals(5 * 3 * 6, "x");
    const table = ropeTable(rope, [0, 1, 2, 0, 1], "short");
    const sequences = [
      { cache: null, position: 0, count: 3 },
      { cache: null, position: 0, count: 2 },
    ];
    const found = numbers(() =>
      rotate(
        tf.tensor3d(x, [5, 3, 6]),
        ropeRows(rope, sequences, () => "short"),
      ),
    );
    const expected = plain.rotateHalves(x, { rows: 5, heads: 3, headDim: 6 }, table.cos, table.sin);
    expect(maxDifference(found, expected)).toBeLessThan(1e-6);
  });

  it.each([
    { heads: 4, kvHeads: 2, window: null },
    { heads: 6, kvHeads: 1, window: 5 },
    { heads: 3, kvHeads: 3, window: 1 },
  ])("attends, %o", (shape) => {
    const spec = attentionOf(shape);
    const { heads, kvHeads, headDim } = spec;
    const rows = 11;
    const [q, k, v] = [
      normals(rows * heads * headDim, "q"),
      normals(rows * kvHeads * headDim, "k"),
      normals(rows * kvHeads * headDim, "v"),
    ];
    const tensor = (data: Float32Array, width: number) =>
      tf.tensor3d(data, [data.length / width / headDim, width, headDim]);
    const expected = plain.attention(q, k, v, spec);
    const within = numbers(() => attendWithin(tensor(q, heads), tensor(k, kvHeads), tensor(v, kvHeads), spec));
    expect(maxDifference(within, expected)).toBeLessThan(1e-5);
    const cache = new PagedKvCache(smallSpec(shape), { maxTokens: rows, kvType: "f32" });
    const parts = [0, 7, 8, rows].slice(0, -1).map((from, i) => [from, [7, 8, rows][i]]);
    const cached = parts.flatMap(([position, to]) => {
      const cut = (data: Float32Array, width: number) =>
        tensor(data.subarray(position * width * headDim, to * width * headDim), width);
      const held = { cache, block: 0, position, buffers: buffers.widening };
      return [...numbers(() => attendCached(cut(q, heads), cut(k, kvHeads), cut(v, kvHeads), spec, held))];
    });
    expect(maxDifference(cached, expected)).toBeLessThan(1e-5);
  });
});

describe("decoder", () => {
  beforeAll(async () => {
    await openBackend();
    await ensureGradients();
  });

  it("cuts attention scores beyond their bound into steps of rows", () => {
    const spec = attentionOf({ heads: 8, kvHeads: 2 });
    const rows = 420;
    const [q, k, v] = [normals(rows * 32, "q"), normals(rows * 8, "k"), normals(rows * 8, "v")];
    const found = numbers(() =>
      attendWithin(tf.tensor3d(q, [rows, 8, 4]), tf.tensor3d(k, [rows, 2, 4]), tf.tensor3d(v, [rows, 2, 4]), spec),
    );
    expect(maxDifference(found, plain.attention(q, k, v, spec))).toBeLessThan(1e-5);
  });

  it("keeps keys and values as f16 within the error of their rounding", () => {
    const spec = attentionOf({});
    const { heads, kvHeads, headDim, scale } = spec;
    const rows = 70;
    const [q, k, v] = [
      normals(rows * heads * headDim, "q"),
      normals(rows * kvHeads * headDim, "k"),
      normals(rows * kvHeads * headDim, "v"),
    ];
    const run = (kvType: "f16" | "f32") => {
      const cache = new PagedKvCache(smallSpec({}), { maxTokens: rows, kvType });
      const held = { cache, block: 0, position: 0, buffers: buffers.widening };
      const tensor = (data: Float32Array, width: number) => tf.tensor3d(data, [rows, width, headDim]);
      return numbers(() => attendCached(tensor(q, heads), tensor(k, kvHeads), tensor(v, kvHeads), spec, held));
    };
    const largest = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    // A score moves by at most d, so a weight by a factor within e^(2d); a value by 2^-11 of itself.
    const d = scale * headDim * largest(q) * largest(k) * 2 ** -11;
    const bound = (Math.exp(2 * d) - 1 + 2 ** -11) * largest(v);
    const difference = maxDifference(run("f16"), run("f32"));
    expect(difference).toBeGreaterThan(0);
    expect(difference).toBeLessThanOrEqual(bound);
  });

  const shapes: Shape[] = [
    {},
    {
      norm: "layer",
      residual: "parallel",
      sharedNorm: true,
      gated: false,
      activation: "gelu-tanh",
      bias: true,
      ropeDims: 2,
    },
    { norm: "layer", residual: "parallel", gated: false, activation: "gelu-erf", window: 3 },
    { qkNorm: true, window: 2, kvHeads: 4 },
  ];
  it.each(shapes)("is differentiable through a block, packed or dense: %o", async (shape) => {
    const spec = smallSpec({ ...shape, blocks: 1 });
    const sequences = [
      { cache: null, position: 0, count: 4 },
      { cache: null, position: 0, count: 2 },
    ];
    const source = await packedSource(randomSource(spec), "f32");
    for (const expand of [false, true]) {
      const { weights, tensors } = await loadBlock(source, 0, expand);
      const before = tf.memory().numTensors;
      const [slope, measured] = tf.tidy(() => {
        const ropeSpec = spec.blocks[0].attention?.rope;
        const rope = ropeSpec ? ropeRows(ropeSpec, sequences, () => "short") : null;
        const run = { block: 0, sequences, rope, skipAttention: false, skipMlp: false, buffers };
        const probe = tf.tensor2d(normals(96, "probe"), [6, 16]);
        const loss = (x: tf.Tensor) =>
          tf.sum<tf.Scalar>(tf.mul(runBlock(tf.reshape(x, [6, 16]), spec.blocks[0], weights, run), probe));
        const x = tf.tensor2d(normals(96, "x"), [6, 16]);
        const along = tf.tensor2d(normals(96, "direction"), [6, 16]);
        const step = 1 / 256;
        const difference = tf.sub(loss(tf.add(x, tf.mul(along, step))), loss(tf.sub(x, tf.mul(along, step))));
        return [tf.sum(tf.mul(tf.grad(loss)(x), along)).arraySync(), Number(difference.arraySync()) / (2 * step)];
      });
      expect(tf.memory().numTensors).toBe(before);
      expect(Math.abs(Number(measured))).toBeGreaterThan(0.1);
      expect(Math.abs(Number(slope) - Number(measured))).toBeLessThanOrEqual(
        5e-3 * Math.max(1, Math.abs(Number(measured))),
      );
      tensors.dispose();
    }
  });
});
