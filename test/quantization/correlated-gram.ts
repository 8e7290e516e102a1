import type { InputGram } from "../../src/quantization/quantizer-input.ts";
import { Random } from "../../src/tensor/random.ts";

/** Inputs with a few common causes, of very different size from column to column. */
export function correlatedGram(cols: number, seed: number): InputGram {
  const random = new Random(seed);
  const draw = () => random.nextNormal();
  const size = Float64Array.from({ length: cols }, () => Math.exp(draw()));
  const mix = Float64Array.from({ length: 6 * cols }, draw);
  const gram = new Float64Array(cols * cols);
  for (let sample = 0; sample < 4 * cols; sample++) {
    const causes = Array.from({ length: 6 }, draw);
    const x = size.map(
      (scale, i) => scale * (0.4 * draw() + causes.reduce((sum, cause, c) => sum + cause * mix[c * cols + i], 0)),
    );
    for (let i = 0; i < cols; i++) for (let j = 0; j < cols; j++) gram[i * cols + j] += (x[i] * x[j]) / (4 * cols);
  }
  return { cols, gram: Float32Array.from(gram) };
}
