import type { RopeSpec } from "./decoder-spec.ts";

/** Which of LongRoPE's two factor lists a sequence uses; the other kinds of scaling have no regimes and ignore it. */
export type RopeRegime = "short" | "long";

/** Frequencies of a rotary embedding. */
export interface RopeFrequencies {
  /** [dims / 2], radians a position; pair i is channels (i, i + dims/2). */
  readonly inverseFrequencies: Float64Array;
  /** What cos and sin are multiplied by: 1 but for LongRoPE. */
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
 * Inverse frequencies theta^(-2i/dims) under the spec's scaling (RoFormer, arXiv 2104.09864; LongRoPE, arXiv
 * 2402.13753).
 */
export function ropeInverseFrequencies(rope: RopeSpec, regime: RopeRegime): RopeFrequencies {
  const { dims, theta, scaling } = rope;
  const plain = Float64Array.from({ length: dims / 2 }, (_, i) => theta ** ((-2 * i) / dims));
  switch (scaling.kind) {
    case "none":
      return { inverseFrequencies: plain, factor: 1 };
    case "linear":
      return { inverseFrequencies: plain.map((f) => f / scaling.factor), factor: 1 };
    case "llama3":
      return { inverseFrequencies: plain.map((f) => llama3Frequency(f, scaling)), factor: 1 };
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
function llama3Frequency(frequency: number, scaling: Extract<RopeSpec["scaling"], { kind: "llama3" }>): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
  const turns = (originalMaxPositions * frequency) / (2 * Math.PI);
  if (turns < lowFreqFactor) return frequency / factor;
  if (turns > highFreqFactor) return frequency;
  const kept = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
  return kept * frequency + ((1 - kept) * frequency) / factor;
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
