import { afterAll, describe, expect, it } from "vitest";
import { openMaths } from "../../src/maths/open-maths.ts";
import { inverseUpperFactor } from "../../src/maths/plain/linear-algebra.ts";
import type { QuantizerInput } from "../../src/quantization/quantizer-input.ts";
import { hasData, needsData, TINYSTORIES_656K } from "../support/data.ts";
import { outputError, readQuantizerCases } from "./quantizer-cases.ts";

const maths = await openMaths({ threads: 2 });
afterAll(() => maths[Symbol.dispose]());

/** The same inputs for columns from the first to the last. */
function inPlainOrder(input: QuantizerInput): QuantizerInput {
  const { cols, gram, damping } = input;
  const factor = Float64Array.from(gram, (x, i) => (i % (cols + 1) === 0 ? x + damping : x));
  expect(inverseUpperFactor(factor, cols)).toBe(true);
  return { ...input, order: Int32Array.from({ length: cols }, (_, i) => i), factor };
}

/**
 * The only cases in which activation order leaves a larger error than plain order, and by how much (found with these
 * inputs).
 */
const WORSE: Readonly<Record<string, number>> = { "blocks.0.attn.q q3s-g32": 1.003 };

describe.skipIf(!hasData(TINYSTORIES_656K))(needsData("activation order", TINYSTORIES_656K), () => {
  it("leaves smaller output errors than plain order in all reference cases but one, some 4 % on the median", async () => {
    const ratios: number[] = [];
    for (const one of await readQuantizerCases(maths)) {
      const ordered = await outputError(maths, "gptq", one);
      const plain = await outputError(maths, "gptq", { ...one, input: inPlainOrder(one.input) });
      const name = `${one.id} ${one.codec}`;
      expect(ordered / plain, name).toBeLessThan(WORSE[name] ?? 1);
      ratios.push(ordered / plain);
    }
    expect(ratios.length).toBe(24);
    ratios.sort((a, b) => a - b);
    expect((ratios[11] + ratios[12]) / 2).toBeLessThan(0.97);
  });
});
