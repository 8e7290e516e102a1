import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rotateResidualStream } from "../../../experiments/rotation/rotate.ts";
import { openCheckpoint } from "../../../src/model/checkpoint.ts";
import { type DecoderSpec, matricesOf, vectorsOf } from "../../../src/model/decoder-spec.ts";
import type { WeightSource } from "../../../src/model/weight-source.ts";
import { Random } from "../../../src/tensor/random.ts";
import { logitsOf, maxDifference } from "../../runtime/compare.ts";
import { SHAPES } from "../../runtime/executor-cases.ts";
import { architectureCases } from "../../runtime/goldens.ts";
import { randomSource, smallSpec } from "../../runtime/random-model.ts";
import { executorsOf, TEST_EXECUTORS } from "../../runtime/test-executors.ts";

async function logits(source: WeightSource): Promise<Float32Array> {
  const executor = await executorsOf(TEST_EXECUTORS[0], "streamed")(source);
  const random = new Random(2);
  try {
    const ids = Array.from({ length: 24 }, () => random.nextInt(source.spec.vocabSize));
    return await logitsOf(executor, ids);
  } finally {
    await executor.dispose();
  }
}

/** Largest difference of the logits over the largest logit. */
async function logitChange(source: WeightSource, rotated: WeightSource): Promise<number> {
  const before = await logits(source);
  return maxDifference(await logits(rotated), before) / Math.max(...before.map(Math.abs));
}

/** Fixtures whose norms do not let the stream be rotated, and why. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  gemma3: /found a norm after a half of block 0/,
  olmo2: /found no norm before the attention of block 0/,
};

describe("rotation of the residual stream", () => {
  it.each(architectureCases().filter(({ name }) => name in REFUSED))("$name: is refused", async ({ name, folder }) => {
    const source = await openCheckpoint(folder);
    expect(() => rotateResidualStream(source, { seed: 1, untie: true })).toThrow(REFUSED[name]);
    await source.close();
  });

  const cases = architectureCases().filter(({ name }) => !(name in REFUSED));
  it.each(cases)("$name: keeps the logits, or refuses tied weights", async ({ folder }) => {
    const source = await openCheckpoint(folder);
    try {
      const { tied } = source.spec;
      if (tied) {
        expect(() => rotateResidualStream(source, { seed: 1 })).toThrow(/expected .*, found tied weights/);
      }
      const rotated = rotateResidualStream(source, { seed: 1, untie: tied });
      expect(await logitChange(source, rotated)).toBeLessThan(1e-4);
    } finally {
      await source.close();
    }
  });
});

describe("a rotated model", () => {
  const spec = smallSpec({ hiddenSize: 24, norm: "layer", residual: "parallel", sharedNorm: true, tied: true });

  it("has the logits of the original one, whatever its blocks are", async () => {
    const property = fc.asyncProperty(SHAPES, fc.constantFrom(16, 24, 15), async (shape, hiddenSize) => {
      const source = randomSource(smallSpec({ ...shape, norms: "pre", hiddenSize }));
      expect(await logitChange(source, rotateResidualStream(source, { seed: 5, untie: true }))).toBeLessThan(1e-4);
    });
    await fc.assert(property, { numRuns: 25 });
  });

  it("reads rows as it reads matrices, and every vector at its length", async () => {
    const rotated = rotateResidualStream(randomSource(spec), { seed: 5, untie: true });
    expect(rotated.spec).toMatchObject({ tied: false, headBias: true, finalNorm: { kind: "rms" } });
    for (const { id, rows, cols } of matricesOf(rotated.spec)) {
      const { data } = await rotated.readMatrix(id).then((matrix) => (matrix.kind === "dense" ? matrix : { data: [] }));
      expect(data).toHaveLength(rows * cols);
      expect(await rotated.readRows(id, 3, 7)).toEqual(data.slice(3 * cols, 7 * cols));
    }
    for (const { id, length } of vectorsOf(rotated.spec)) expect(await rotated.readVector(id)).toHaveLength(length);
    expect([...(await rotated.readVector("blocks.1.attn.norm.weight"))]).toEqual(Array(24).fill(1));
    await expect(rotated.readMatrix("blocks.9.attn.q")).rejects.toThrow("no matrix blocks.9.attn.q");
  });

  it("has no channel that stands out", async () => {
    const source = randomSource(smallSpec({ hiddenSize: 64 }));
    const loud: WeightSource = {
      ...source,
      readRows: async (id, from, to) => {
        const data = (await source.readRows(id, from, to)).slice();
        if (id === "embedding") for (let i = 5; i < data.length; i += 64) data[i] *= 100;
        return data;
      },
    };
    const ratio = async (weights: WeightSource) => {
      const data = await weights.readRows("embedding", 0, 37);
      const meanSquare = data.reduce((sum, value) => sum + value * value, 0) / data.length;
      return Math.max(...data.map(Math.abs)) / Math.sqrt(meanSquare);
    };
    expect(await ratio(loud)).toBeGreaterThan(10);
    expect(await ratio(rotateResidualStream(loud, { seed: 1 }))).toBeLessThan(5);
  });

  it("is refused where it would not be the same model", () => {
    const refused = (changed: DecoderSpec) => {
      const source = { ...randomSource(spec), spec: changed };
      return () => rotateResidualStream(source, { seed: 1, untie: true });
    };
    const [block] = spec.blocks;
    const rms = { kind: "rms", size: 24, eps: 1e-5 } as const;
    expect(refused({ ...spec, finalNorm: rms })).toThrow("random: rotation of the residual stream: expected");
    expect(refused({ ...spec, finalNorm: rms })).toThrow("found both RMS and layer norms");
    expect(refused({ ...spec, blocks: [block, { ...block, attentionNorms: { pre: null, post: null } }] })).toThrow(
      "found no norm before the attention of block 1",
    );
    expect(refused({ ...spec, blocks: [{ ...block, residual: "sequential" }] })).toThrow(
      "found no norm before the MLP of block 0",
    );
    expect(refused(spec)).not.toThrow();
  });
});
