import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keyValueBound } from "../../src/calibration/kv-bound.ts";
import { normalizeRows, readNorm } from "../../src/calibration/normalize-rows.ts";
import type { WeightSource } from "../../src/model/weight-source.ts";
import { Random } from "../../src/tensor/random.ts";
import { randomSource, type Shape, smallSpec } from "../runtime/random-model.ts";
import { scaledSource } from "../support/scaled-source.ts";

const ROWS = 50;

/** The largest value of block 0 over random rows, one of them along each row of the matrix: where it is largest. */
async function largestValue(source: WeightSource): Promise<number> {
  const { attention, attentionNorms } = source.spec.blocks[0];
  if (!attention || !attentionNorms.pre) throw new Error("no such block");
  const size = source.spec.hiddenSize;
  const v = await source.readRows("blocks.0.attn.v", 0, attention.v.rows);
  const bias = attention.v.bias ? await source.readVector("blocks.0.attn.v.bias") : new Float32Array(attention.v.rows);
  const norm = await readNorm(source, "blocks.0.attn.norm", attentionNorms.pre);
  const random = new Random(3);
  const rows = Float32Array.from({ length: (ROWS + attention.v.rows) * size }, (_, i) =>
    i < ROWS * size ? 100 * random.nextNormal() : v[i - ROWS * size] * norm.weight[i % size],
  );
  const normed = normalizeRows(rows, norm);
  let most = 0;
  for (let row = 0; row < rows.length / size; row++) {
    for (let out = 0; out < attention.v.rows; out++) {
      let sum = bias[out];
      for (let i = 0; i < size; i++) sum += v[out * size + i] * normed[row * size + i];
      most = Math.max(most, Math.abs(sum));
    }
  }
  return most;
}

describe("kv-f16-overflow: the bound of keys and values", () => {
  it("is not exceeded by the values of any rows, and is near to the largest", async () => {
    const shapes = fc.record<Shape>({
      ...{ norm: fc.constantFrom("rms", "layer"), bias: fc.boolean(), kvHeads: fc.constantFrom(1, 2) },
    });
    const property = fc.asyncProperty(shapes, fc.constantFrom(1, 2 ** 12), async (shape, factor) => {
      // Values that count: keys are made small.
      const source = scaledSource(randomSource(smallSpec({ ...shape, blocks: 1, ropeDims: null })), {
        ...{ "blocks.0.attn.v": factor, "blocks.0.attn.k": 2 ** -10 },
      });
      const [bound, most] = [(await keyValueBound(source)) ?? 0, await largestValue(source)];
      expect(most).toBeLessThanOrEqual(bound * 1.000001);
      expect(most).toBeGreaterThan(bound / 2);
    });
    await fc.assert(property, { numRuns: 30 });
  });

  it("counts normed keys by their norm, and is none where attention reads rows that are not normed", async () => {
    const large = { "blocks.0.attn.k": 2 ** 20, "blocks.1.attn.k": 2 ** 20 };
    const bound = (shape: Shape) => keyValueBound(scaledSource(randomSource(smallSpec(shape)), large));
    expect(await bound({})).toBeGreaterThan(65504);
    expect(await bound({ qkNorm: true })).toBeLessThan(100);
    expect(await bound({ norms: "post" })).toBeNull();
  });
});
