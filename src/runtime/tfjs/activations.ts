import * as tf from "@tensorflow/tfjs-core";
import type { MlpSpec } from "../../model/decoder-spec.ts";

const GELU_TANH_CUBIC = 0.044715;
const GELU_TANH_SCALE = Math.sqrt(2 / Math.PI);

/** Activation functions by the spec's name; GELU in its exact (erf) and its tanh form (arXiv 1606.08415). */
export const ACTIVATION_FUNCTIONS: Record<MlpSpec["activation"], (x: tf.Tensor2D) => tf.Tensor2D> = {
  silu: (x) => tf.tidy(() => tf.mul(x, tf.sigmoid(x))),
  "gelu-erf": (x) => tf.tidy(() => tf.mul(x, gaussianIntegral(x))),
  // x/2 (1 + tanh z) = x sigmoid(2z)
  "gelu-tanh": (x) => tf.tidy(() => tf.mul(x, tf.sigmoid(doubledGeluArgument(x)))),
  relu: (x) => tf.relu(x),
};

/** (1 + erf(x / sqrt 2)) / 2 */
function gaussianIntegral(x: tf.Tensor2D): tf.Tensor {
  return tf.tidy(() => tf.add(tf.mul(tf.erf(tf.mul(x, Math.SQRT1_2)), 0.5), 0.5));
}

/** 2 sqrt(2 / pi) (x + 0.044715 x^3) */
function doubledGeluArgument(x: tf.Tensor2D): tf.Tensor {
  const cubic = 2 * GELU_TANH_SCALE * GELU_TANH_CUBIC;
  return tf.tidy(() => tf.mul(x, tf.add(tf.mul(tf.mul(x, x), cubic), 2 * GELU_TANH_SCALE)));
}
