import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import {
  ATTENTION_SCORE_BYTES,
  attentionRows,
  EXPAND_BYTES,
  LOGIT_ROWS,
  PROMPT_CHUNK_ROWS,
  workspaceBytes,
} from "../../src/model/workspace.ts";
import type { Residency } from "../../src/runtime/executor-info.ts";
import { openBackend } from "../../src/runtime/tfjs/backend.ts";
import { createTfjsExecutor } from "../../src/runtime/tfjs/executor.ts";
import { packedSource, randomSource, type Shape, smallSpec } from "../runtime/random-model.ts";

/** Each is large in another part: activations, attention scores, feed-forward, one matrix, the output head. */
const SHAPES: readonly { contextTokens: number; shape: Shape }[] = [
  { contextTokens: 600, shape: { hiddenSize: 64, heads: 8, kvHeads: 2, headDim: 16, ropeDims: 16, ffn: 128 } },
  { contextTokens: 1500, shape: { hiddenSize: 16, heads: 8, kvHeads: 8, headDim: 4, ffn: 16 } },
  { contextTokens: 300, shape: { hiddenSize: 32, ffn: 3000 } },
  { contextTokens: 40, shape: { hiddenSize: 128, heads: 1, kvHeads: 1, headDim: 128, ropeDims: 64, ffn: 4500 } },
  { contextTokens: 40, shape: { hiddenSize: 32, vocabSize: 30_000, tied: true } },
];

describe("workspace", () => {
  beforeAll(() => openBackend().then(() => undefined));

  it.each(SHAPES)("provides for all that a prompt and its logits need: $shape", async ({ contextTokens, shape }) => {
    const spec = smallSpec({ blocks: 2, ...shape });
    const source = await packedSource(randomSource(spec), "q4s-g32");
    for (const residency of ["packed", "resident"] satisfies Residency[]) {
      // As on a machine without the addon, whose products need the most.
      const executor = await createTfjsExecutor(source, { residency, packedProducts: "typescript" });
      const cache = executor.createCache({ maxTokens: contextTokens });
      const start = tf.memory().numBytes;
      const run = await tf.profile(async () => {
        for (let position = 0; position < contextTokens; position += PROMPT_CHUNK_ROWS) {
          const count = Math.min(PROMPT_CHUNK_ROWS, contextTokens - position);
          const embedded = await executor.embed(new Int32Array(count).fill(1));
          const hidden = await executor.runBlocks(embedded, 0, spec.blocks.length, [{ cache, position, count }]);
          embedded.dispose();
          if (count >= LOGIT_ROWS)
            await executor.logits(
              hidden,
              Int32Array.from({ length: LOGIT_ROWS }, (_, i) => i),
            );
          hidden.dispose();
        }
        return [];
      });
      const peak = run.peakBytes - start;
      const allowed = workspaceBytes(spec, { contextTokens, residency });
      expect(peak).toBeLessThanOrEqual(allowed);
      // And it is no guess far off: arrays of JavaScript, which tensors do not count, are at most half of it.
      expect(peak).toBeGreaterThan(allowed / 6);
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
