/** How a step moves parameters. */
export interface AdamSettings {
  /** Learning rate of this step. */
  readonly rate: number;
  /** Part of a decaying parameter that a rate of 1 would take away (decoupled weight decay). */
  readonly decay: number;
}

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

/** Running means of one parameter's gradient and of its square. */
export interface Moments {
  readonly first: Float32Array;
  readonly second: Float32Array;
}

/** Of so many numbers of which nothing was learned. */
export function emptyMoments(length: number): Moments {
  return { first: new Float32Array(length), second: new Float32Array(length) };
}

/**
 * One step of AdamW (Loshchilov and Hutter 2019) on `values`, in place; TensorFlow.js has no decoupled weight decay,
 * and plain arrays can be saved and taken up again bit for bit. step: from 1.
 */
export function adamStep(
  values: Float32Array,
  gradient: Float32Array,
  { first, second }: Moments,
  step: number,
  { rate, decay }: AdamSettings,
): void {
  const bias1 = 1 - BETA1 ** step;
  const bias2 = 1 - BETA2 ** step;
  for (let i = 0; i < values.length; i++) {
    const slope = gradient[i];
    first[i] = BETA1 * first[i] + (1 - BETA1) * slope;
    second[i] = BETA2 * second[i] + (1 - BETA2) * slope * slope;
    const move = first[i] / bias1 / (Math.sqrt(second[i] / bias2) + EPSILON);
    values[i] -= rate * (move + decay * values[i]);
  }
}

/** Rate of a step (from 0) of so many: half a cosine from `rate` down to 0. */
export function cosineRate(rate: number, step: number, steps: number): number {
  return (rate / 2) * (1 + Math.cos((Math.PI * step) / steps));
}
