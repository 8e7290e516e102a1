import * as tf from "@tensorflow/tfjs-core";
import type { LowRankPart } from "../../../src/model/low-rank.ts";
import type { WeightSource } from "../../../src/model/weight-source.ts";
import { runBlock } from "../../../src/runtime/tfjs/decoder.ts";
import { createWideningBuffers } from "../../../src/runtime/tfjs/kv-cache.ts";
import { loadBlock } from "../../../src/runtime/tfjs/load-weights.ts";
import { distinctRopes, PassRopes } from "../../../src/runtime/tfjs/rope-rows.ts";

/** What a window gives, and the slopes of sum(output * d) in a and b of every part. */
export interface TwinRun {
  readonly output: Float32Array;
  readonly slopes: readonly { readonly a: Float32Array; readonly b: Float32Array }[];
}

/** The window's passes by TensorFlow.js: the blocks of the executor, and its automatic gradients. */
export async function twinWindow(
  source: WeightSource,
  [first, end]: readonly [number, number],
  { x, d, parts }: { readonly x: Float32Array; readonly d: Float32Array; readonly parts: readonly LowRankPart[] },
): Promise<TwinRun> {
  const { spec } = source;
  const shape: [number, number] = [x.length / spec.hiddenSize, spec.hiddenSize];
  const blocks = await Promise.all(spec.blocks.slice(first, end).map((_, i) => loadBlock(source, first + i, true)));
  const sequences = [{ cache: null, position: 0, count: shape[0] }];
  const ropes = new PassRopes(spec, distinctRopes(spec), sequences);
  const tensors = parts.flatMap(({ a, b, rank }) => [
    tf.transpose(tf.tensor2d(a, [rank, a.length / rank])),
    tf.transpose(tf.tensor2d(b, [b.length / rank, rank])),
  ]);
  let output = new Float32Array(0);
  const loss = (...moving: tf.Tensor[]): tf.Scalar => {
    let hidden: tf.Tensor2D = tf.tensor2d(x, shape);
    for (const [i, { weights }] of blocks.entries()) {
      const block = first + i;
      const adapter = new Map(
        parts.flatMap(({ block: of, role, factor }, at) => {
          if (of !== block) return [];
          const [a, b] = [
            tf.reshape<tf.Rank.R2>(moving[2 * at], moving[2 * at].shape as [number, number]),
            moving[2 * at + 1],
          ];
          return [[role, { a, b: b as tf.Tensor2D, factor }] as const];
        }),
      );
      hidden = runBlock(hidden, spec.blocks[block], weights, {
        ...{ block, sequences, rope: ropes.of(block), skipAttention: false, skipMlp: false, adapter },
        buffers: { expand: new Float32Array(0), widening: createWideningBuffers() },
      });
    }
    output = hidden.dataSync<"float32">().slice();
    return tf.sum(tf.mul(hidden, tf.tensor2d(d, shape)));
  };
  const { grads } = tf.valueAndGrads(loss)(tensors);
  const read = (tensor: tf.Tensor) => tf.transpose(tensor).dataSync<"float32">().slice();
  return { output, slopes: parts.map((_, i) => ({ a: read(grads[2 * i]), b: read(grads[2 * i + 1]) })) };
}
