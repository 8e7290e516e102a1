import path from "node:path";
import { describe, expect, it } from "vitest";
import type { CodecId } from "../../src/codecs/index.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import type { WeightSource } from "../../src/model/weight-source.ts";
import { packWith, quantizedOverlay } from "../../src/quantization/overlay.ts";
import { createExecutor } from "../../src/runtime/create-executor.ts";
import { Random } from "../../src/tensor/random.ts";
import { ARCHITECTURES } from "../support/fixtures.ts";
import { logitsOf, maxDifference } from "./compare.ts";
import { unpackedSource } from "./random-model.ts";
import { executorsOf, TEST_EXECUTORS } from "./test-executors.ts";

const CODECS: readonly CodecId[] = ["q4s-g32-n16", "q4s-g32-2of4", "q3s-g32-n24", "q8s-g32-n8"];

async function logits(source: WeightSource, make: (source: WeightSource) => ReturnType<typeof createExecutor>) {
  const executor = await make(source);
  const random = new Random(8);
  const ids = Array.from({ length: 40 }, () => random.nextInt(source.spec.vocabSize));
  const found = await logitsOf(executor, ids);
  await executor.dispose();
  return found;
}

describe.each(["llama-gqa", "neox-parallel", "phi"])("%s with all matrices sparse", (family) => {
  it.each(CODECS)("%s: every executor gives what the expanded weights give", async (codec) => {
    const source = await openCheckpoint(path.join(ARCHITECTURES, family));
    const packed = quantizedOverlay(source, packWith(plainMaths, codec, "nearest"));
    const dense = await logits(await unpackedSource(packed), executorsOf(TEST_EXECUTORS[0], "streamed"));
    expect(maxDifference(dense, await logits(source, executorsOf(TEST_EXECUTORS[0], "streamed")))).toBeGreaterThan(
      1e-2,
    );
    for (const executor of TEST_EXECUTORS) {
      for (const residency of ["packed", "streamed"] as const) {
        expect(maxDifference(await logits(packed, executorsOf(executor, residency)), dense)).toBeLessThan(2e-3);
      }
    }
    await source.close();
  });

  it.runIf(TEST_EXECUTORS.includes("native"))(
    "gives the same with activations of 8 bits, by every row alone",
    async () => {
      const source = await openCheckpoint(path.join(ARCHITECTURES, family));
      const packed = quantizedOverlay(source, packWith(plainMaths, "q4s-g32-n16", "nearest"));
      const int8 = (threads: number) => (model: WeightSource) =>
        createExecutor(model, { executor: "native", residency: "packed", activations: "int8", threads });
      const [one, two] = [await logits(packed, int8(1)), await logits(packed, int8(2))];
      expect(two).toEqual(one);
      const dense = await logits(packed, executorsOf("native", "packed"));
      // Activations lose some of their own.
      expect(maxDifference(one, dense)).toBeGreaterThan(0);
      expect(maxDifference(one, dense)).toBeLessThan(0.5);
      await source.close();
    },
  );
});
