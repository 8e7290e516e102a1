import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { ATTENTION_SCORE_BYTES, attentionRows, EXPAND_BYTES, workspaceBytes } from "../../src/model/workspace.ts";
import type { Residency } from "../../src/runtime/executor.ts";
import { openBackend } from "../../src/runtime/tfjs/backend.ts";
import { createTfjsExecutor } from "../../src/runtime/tfjs/executor.ts";
import { packedSource, randomSource, type Shape, smallSpec } from "../runtime/tfjs/random-model.ts";

/** Each is large in another part: activations, attention scores, feed-forward, one matrix, the output head. */
const SHAPES: readonly { contextTokens: number; shape: Shape }[] = [
  { contextTokens: 600, shape: { hiddenSize: 64, heads: 8, kvHeads: 2, headDim: 16, ropeDims: 16, ffn: 128 } },
  { contextTokens: 3000, shape: { hiddenSize: 16, heads: 8, kvHeads: 8, headDim: 4, ffn: 16 } },
  { contextTokens: 300, shape: { hiddenSize: 32, ffn: 3000 } },
  { contextTokens: 40, shape: { hiddenSize: 256, heads: 1, kvHeads: 1, headDim: 256, ropeDims: 64, ffn: 4500 } },
  { contextTokens: 40, shape: { hiddenSize: 64, vocabSize: 60_000, tied: true } },
];

describe("workspace", () => {
  beforeAll(() => openBackend().then(() => undefined));

  it.each(SHAPES)("provides for all that a prompt and its logits need: $shape", async ({ contextTokens, shape }) => {
    const spec = smallSpec({ blocks: 1, ...shape });
    const source = await packedSource(randomSource(spec), "q4s-g32");
    for (const residency of ["packed", "resident"] satisfies Residency[]) {
      const executor = await createTfjsExecutor(source, { residency });
      const cache = executor.createCache({ maxTokens: contextTokens });
      const embedded = await executor.embed(new Int32Array(contextTokens).fill(1));
      const allowed = workspaceBytes(spec, { contextTokens, residency });
      // Tensors alone: what JavaScript holds beside them (the tile, the widened cache) is half of what those two count.
      const hiddenBytes = contextTokens * spec.hiddenSize * 4;
      const run = await tf.profile(async () => {
        const hidden = await executor.runBlocks(embedded, 0, 1, [{ cache, position: 0, count: contextTokens }]);
        await executor.logits(hidden, Int32Array.of(contextTokens - 1));
        hidden.dispose();
        return [];
      });
      const start = tf.memory().numBytes;
      const peak = run.peakBytes - start - hiddenBytes;
      expect(peak).toBeGreaterThan(allowed / 40);
      expect(peak).toBeLessThanOrEqual(allowed);
      embedded.dispose();
      await executor.dispose();
    }
  });

  it("counts expansion only where matrices are expanded", () => {
    const spec = smallSpec({ hiddenSize: 512, ffn: 4096 });
    const [packed, resident, streamed] = (["packed", "resident", "streamed"] satisfies Residency[]).map((residency) =>
      workspaceBytes(spec, { contextTokens: 64, residency }),
    );
    expect(packed - resident).toBe(2 * EXPAND_BYTES);
    expect(streamed).toBeGreaterThan(packed);
  });

  it("bounds the rows whose attention is computed at a time", () => {
    expect(attentionRows(8, 1, 100)).toBe(100);
    expect(attentionRows(1000, 1_000_000, 100)).toBe(1);
    const rows = attentionRows(9, 2048, 256);
    expect(rows * 9 * 2048 * 4).toBeLessThanOrEqual(ATTENTION_SCORE_BYTES);
    expect((rows + 1) * 9 * 2048 * 4).toBeGreaterThan(ATTENTION_SCORE_BYTES);
  });
});
