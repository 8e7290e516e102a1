import type { RopeSpec } from "./decoder-spec.ts";

type Scaling<Kind> = Extract<RopeSpec["scaling"], { kind: Kind }>;

/** Which of LongRoPE's two factor lists a sequence uses; the other kinds of scaling have no regimes and ignore it. */
export type RopeRegime = "short" | "long";

/** Frequencies of a rotary embedding. */
export interface RopeFrequencies {
  /** [dims / 2], radians a position; pair i is channels (i, i + dims/2). */
  readonly inverseFrequencies: Float64Array;
  /** What cos and sin are multiplied by: 1 but for YaRN and LongRoPE. */
  readonly factor: number;
}

/** Cosines and sines of some positions, the factor multiplied in. */
export interface RopeTable {
  /** [positions, dims / 2] */
  readonly cos: Float32Array;
  /** [positions, dims / 2] */
  readonly sin: Float32Array;
}

/** Regime of a sequence that will hold `totalTokens`: past originalMaxPositions all of its positions are `long`. */
export function ropeRegime(rope: RopeSpec, totalTokens: number): RopeRegime {
  const { scaling } = rope;
  return scaling.kind === "longrope" && totalTokens > scaling.originalMaxPositions ? "long" : "short";
}

/**
 * Inverse frequencies theta^(-2i/dims) under the spec's scaling (RoFormer, arXiv 2104.09864; YaRN, arXiv 2309.00071;
 * LongRoPE, arXiv 2402.13753). Dynamic scaling changes nothing as far as the model's positions, where it ends here.
 */
export function ropeInverseFrequencies(rope: RopeSpec, regime: RopeRegime): RopeFrequencies {
  const { dims, theta, scaling } = rope;
  const plain = Float64Array.from({ length: dims / 2 }, (_, i) => theta ** ((-2 * i) / dims));
  switch (scaling.kind) {
    case "none":
    case "dynamic":
      return { inverseFrequencies: plain, factor: 1 };
    case "linear":
      return { inverseFrequencies: plain.map((f) => f / scaling.factor), factor: 1 };
    case "llama3":
      return { inverseFrequencies: plain.map((f) => llama3Frequency(f, scaling)), factor: 1 };
    case "yarn":
      return { inverseFrequencies: yarnFrequencies(plain, rope, scaling), factor: scaling.attentionFactor };
    case "longrope": {
      const factors = regime === "long" ? scaling.longFactor : scaling.shortFactor;
      return { inverseFrequencies: plain.map((f, i) => f / factors[i]), factor: scaling.attentionFactor };
    }
    default:
      return scaling satisfies never;
  }
}

/**
 * Llama 3.1: long waves are stretched by the factor, short ones kept, those between blended by their number of turns.
 */
function llama3Frequency(frequency: number, scaling: Scaling<"llama3">): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
  const turns = (originalMaxPositions * frequency) / (2 * Math.PI);
  if (turns < lowFreqFactor) return frequency / factor;
  if (turns > highFreqFactor) return frequency;
  const kept = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
  return kept * frequency + ((1 - kept) * frequency) / factor;
}

/** YaRN: pair by pair from kept to stretched, along a ramp between two pairs of a given number of turns. */
function yarnFrequencies(plain: Float64Array, { dims, theta }: RopeSpec, scaling: Scaling<"yarn">): Float64Array {
  const { factor, betaFast, betaSlow, truncate, originalMaxPositions } = scaling;
  /** The pair, as a fraction, that turns so often within the original positions. */
  const pairOf = (turns: number) =>
    (dims * Math.log(originalMaxPositions / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [fast, slow] = [pairOf(betaFast), pairOf(betaSlow)];
  const first = Math.max(truncate ? Math.floor(fast) : fast, 0);
  const last = Math.min(truncate ? Math.ceil(slow) : slow, dims - 1);
  const length = last === first ? 0.001 : last - first;
  return plain.map((frequency, i) => {
    const stretched = Math.min(Math.max((i - first) / length, 0), 1);
    return (stretched * frequency) / factor + (1 - stretched) * frequency;
  });
}

/** Cosines and sines for the given positions; computed in float64, stored in float32. */
export function ropeTable(rope: RopeSpec, positions: ArrayLike<number>, regime: RopeRegime): RopeTable {
  const { inverseFrequencies, factor } = ropeInverseFrequencies(rope, regime);
  const pairs = inverseFrequencies.length;
  const cos = new Float32Array(positions.length * pairs);
  const sin = new Float32Array(positions.length * pairs);
  for (let row = 0; row < positions.length; row++) {
    for (let i = 0; i < pairs; i++) {
      const angle = positions[row] * inverseFrequencies[i];
      cos[row * pairs + i] = factor * Math.cos(angle);
      sin[row * pairs + i] = factor * Math.sin(angle);
    }
  }
  return { cos, sin };
}
