import type { MlpSpec } from "../../../model/decoder-spec.ts";
import { exponentials } from "./exponentials.ts";

/** Numbers that are worked on at a time: they stay in the first-level cache. */
const STEP = 1024;
const GELU_TANH_CUBIC = 0.044715;
const GELU_TANH_SCALE = Math.sqrt(2 / Math.PI);
/** Coefficients of erf by Abramowitz and Stegun 7.1.26, absolute error below 1.5e-7. */
const ERF = { p: 0.3275911, a: [0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429] } as const;

/** Fills `value` with f(x) and `slope` with f'(x), of equal lengths. */
type ActivationPass = (x: Float32Array, value: Float32Array, slope: Float32Array) => void;

/** Activation functions by the spec's name, with their derivatives. */
const ACTIVATION_PASSES: Readonly<Record<MlpSpec["activation"], ActivationPass>> = {
  silu(x, value, slope) {
    logistics(x, value);
    for (let i = 0; i < x.length; i++) {
      const s = value[i];
      slope[i] = s * (1 + x[i] * (1 - s));
      value[i] = x[i] * s;
    }
  },
  "gelu-erf"(x, value, slope) {
    for (let i = 0; i < x.length; i++) {
      const density = Math.exp(-0.5 * x[i] * x[i]) / Math.sqrt(2 * Math.PI);
      const integral = 0.5 * (1 + erf(x[i] * Math.SQRT1_2));
      slope[i] = integral + x[i] * density;
      value[i] = x[i] * integral;
    }
  },
  // x/2 (1 + tanh z) = x sigmoid(2z)
  "gelu-tanh"(x, value, slope) {
    for (let i = 0; i < x.length; i++) {
      slope[i] = 2 * GELU_TANH_SCALE * (x[i] + GELU_TANH_CUBIC * x[i] ** 3);
    }
    logistics(slope, value);
    for (let i = 0; i < x.length; i++) {
      const s = value[i];
      const inner = 2 * GELU_TANH_SCALE * (1 + 3 * GELU_TANH_CUBIC * x[i] * x[i]);
      slope[i] = s + x[i] * s * (1 - s) * inner;
      value[i] = x[i] * s;
    }
  },
  relu(x, value, slope) {
    for (let i = 0; i < x.length; i++) {
      slope[i] = x[i] > 0 ? 1 : 0;
      value[i] = Math.max(0, x[i]);
    }
  },
};

/** inner = act(gate) * up, or act(up) where there is no gate; all [rows, inner size]. */
export function activateForward(
  activation: MlpSpec["activation"],
  { gate, up }: { readonly gate: Float32Array | null; readonly up: Float32Array },
  inner: Float32Array,
): void {
  const slope = new Float32Array(STEP);
  forSteps(up.length, (from, to) => {
    const of = (x: Float32Array) => x.subarray(from, to);
    ACTIVATION_PASSES[activation](of(gate ?? up), of(inner), slope.subarray(0, to - from));
    if (gate) for (let i = from; i < to; i++) inner[i] *= up[i];
  });
}

/** Puts the slopes of gate and up in their places, given that of inner. */
export function activateBackward(
  activation: MlpSpec["activation"],
  { gate, up }: { readonly gate: Float32Array | null; readonly up: Float32Array },
  dInner: Float32Array,
): void {
  const [values, slopes] = [new Float32Array(STEP), new Float32Array(STEP)];
  forSteps(up.length, (from, to) => {
    const [value, slope] = [values.subarray(0, to - from), slopes.subarray(0, to - from)];
    ACTIVATION_PASSES[activation]((gate ?? up).subarray(from, to), value, slope);
    for (let i = from; i < to; i++) {
      const d = dInner[i];
      if (gate) {
        gate[i] = d * up[i] * slope[i - from];
        up[i] = d * value[i - from];
      } else {
        up[i] = d * slope[i - from];
      }
    }
  });
}

function forSteps(length: number, each: (from: number, to: number) => void): void {
  for (let from = 0; from < length; from += STEP) each(from, Math.min(length, from + STEP));
}

/** out = 1 / (1 + e^-x), by e^-|x|, which cannot overflow. */
function logistics(x: Float32Array, out: Float32Array): void {
  for (let i = 0; i < x.length; i++) out[i] = -Math.abs(x[i]);
  exponentials(out, 0, out.length, 0);
  for (let i = 0; i < x.length; i++) out[i] = (x[i] < 0 ? out[i] : 1) / (1 + out[i]);
}

function erf(x: number): number {
  const t = 1 / (1 + ERF.p * Math.abs(x));
  let sum = 0;
  for (let i = ERF.a.length - 1; i >= 0; i--) sum = t * (ERF.a[i] + sum);
  const magnitude = 1 - sum * Math.exp(-x * x);
  return x < 0 ? -magnitude : magnitude;
}
