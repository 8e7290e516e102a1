import type { WeightSource } from "./weight-source.ts";

/** Vectors of the output head with the model's logit factor in them, so that whoever runs it need not know of one. */
export interface OutputVectors {
  /** The final norm before the head: weight and, for layer norm, bias, [hiddenSize]. */
  readonly norm: { readonly weight: Float32Array; readonly bias: Float32Array | null };
  /** The head's own bias, [vocabSize], or null. */
  readonly headBias: Float32Array | null;
}

/**
 * factor * (W (n w + b) + c) = W (n (factor w) + factor b) + factor c: norm and biases take the factor, the matrix does
 * not.
 */
export async function readOutputVectors(source: WeightSource): Promise<OutputVectors> {
  const { finalNorm, headBias, logitFactor } = source.spec;
  const read = async (id: string) => {
    const vector = await source.readVector(id);
    return logitFactor === 1 ? vector : vector.map((x) => x * logitFactor);
  };
  return {
    norm: {
      weight: await read("finalNorm.weight"),
      bias: finalNorm.kind === "layer" ? await read("finalNorm.bias") : null,
    },
    headBias: headBias ? await read("head.bias") : null,
  };
}
