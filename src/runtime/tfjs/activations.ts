import * as tf from "@tensorflow/tfjs-core";
import type { MlpSpec } from "../../model/decoder-spec.ts";

const GELU_TANH_CUBIC = 0.044715;

/** Activation functions by the spec's name; GELU in its exact (erf) and its tanh form (arXiv 1606.08415). */
export const ACTIVATION_FUNCTIONS: Record<MlpSpec["activation"], (x: tf.Tensor2D) => tf.Tensor2D> = {
  silu: (x) => tf.mul(x, tf.sigmoid(x)),
  "gelu-erf": (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)),
  "gelu-tanh": (x) => {
    const cubic = tf.add(x, tf.mul(tf.mul(tf.mul(x, x), x), GELU_TANH_CUBIC));
    return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(tf.mul(cubic, Math.sqrt(2 / Math.PI))), 1));
  },
  relu: (x) => tf.relu(x),
};
