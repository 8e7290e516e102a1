import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CODEC_IDS } from "../../../src/codecs/index.ts";
import { openCheckpoint } from "../../../src/model/checkpoint.ts";
import type { KvType } from "../../../src/model/kv-type.ts";
import type { WeightSource } from "../../../src/model/weight-source.ts";
import type { ActivationType } from "../../../src/runtime/executor-info.ts";
import { createNativeExecutor } from "../../../src/runtime/native/executor.ts";
import { feed, logitsOf } from "../compare.ts";
import { architectureCases, modelCases, readGolden } from "../goldens.ts";
import { packedSource, randomSource, smallSpec, unpackedSource } from "../random-model.ts";
import { HAS_ADDON, needsAddon } from "./addon-state.ts";

/**
 * What a lower precision may do to the logits: rms(change) <= 3 ε sqrt(n) std(logits). ε is the relative step of the
 * type, n how many times numbers are rounded to it on the way to a logit; errors of different roundings are independent
 * and add as squares, and 3 covers what the blocks after them make of them.
 */
const AMPLIFICATION = 3;
/** 8-bit levels: one step is 1/127 of the largest number that shares the scale. */
const STEP_OF_8_BITS = 1 / 127;
const STEP_OF_F16 = 2 ** -11;
/** A change below this share of its bound would say that nothing was rounded, or that the bound says nothing. */
const LEAST_SHARE = 1 / 60;

function expectChange(found: Float32Array, reference: Float32Array, step: number, roundings: number): void {
  const change = Math.sqrt(mean(found.map((x, i) => (x - reference[i]) ** 2)));
  const middle = mean(reference);
  const spread = Math.sqrt(mean(reference.map((x) => (x - middle) ** 2)));
  const bound = AMPLIFICATION * step * Math.sqrt(roundings) * spread;
  expect(change).toBeLessThanOrEqual(bound);
  expect(change).toBeGreaterThan(LEAST_SHARE * bound);
}

function mean(numbers: Float32Array): number {
  return numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
}

async function logitsWith(source: WeightSource, ids: readonly number[], activations: ActivationType) {
  await using executor = await createNativeExecutor(source, { residency: "resident", activations });
  return await logitsOf(executor, ids);
}

describe.skipIf(!HAS_ADDON)(needsAddon("native precision"), () => {
  it.each(CODEC_IDS)("%s with f32 activations gives the bits of its unpacked numbers", async (codec) => {
    const packed = await packedSource(randomSource(smallSpec({ bias: true, tied: true, blocks: 1 })), codec);
    const ids = [3, 1, 4, 1, 5];
    const unpacked = await logitsWith(await unpackedSource(packed), ids, "f32");
    expect(await logitsWith(packed, ids, "f32")).toEqual(unpacked);
  });

  describe.each([...architectureCases(), ...modelCases()])("$name", (goldenCase) => {
    let source: WeightSource;
    let ids: number[];
    beforeAll(async () => {
      source = await openCheckpoint(goldenCase.folder);
      ids = readGolden(goldenCase).input_ids[0];
    });
    afterAll(() => source.close());

    it.each(["q8s-g32", "q4s-g32", "q4a-g64"] as const)(
      "int8 activations stay within the formula, %s",
      async (codec) => {
        const packed = await packedSource(source, codec);
        const [int8, f32] = [await logitsWith(packed, ids, "int8"), await logitsWith(packed, ids, "f32")];
        // Inputs of q/k/v, of o, of gate/up and of down in each block, and of the head.
        expectChange(int8, f32, STEP_OF_8_BITS, 4 * source.spec.blocks.length + 1);
      },
    );

    it("f16 and 8-bit keys and values stay within the formula", async () => {
      await using executor = await createNativeExecutor(source, { residency: "resident", activations: "f32" });
      const lastLogits = async (kvType: KvType) => {
        using cache = executor.createCache({ maxTokens: ids.length, kvType });
        cache.reserve(ids.length);
        return await feed(executor, cache, ids, 5);
      };
      const reference = await lastLogits("f32");
      // Keys and values of each block; what they change reaches the stream times the block's factor.
      const roundings = 2 * source.spec.blocks.length;
      const { residualFactor } = source.spec.blocks[0];
      expectChange(await lastLogits("f16"), reference, STEP_OF_F16 * residualFactor, roundings);
      expectChange(await lastLogits("q8"), reference, STEP_OF_8_BITS * residualFactor, roundings);
    });
  });
});
