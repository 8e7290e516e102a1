import { beforeAll, expect, it } from "vitest";
import { LOGIT_ROWS, PROMPT_CHUNK_ROWS, workspaceBytes } from "../../src/model/workspace.ts";
import type { Backend } from "../../src/runtime/backend-names.ts";
import type { Residency } from "../../src/runtime/executor-info.ts";
import { openBackend } from "../../src/runtime/tfjs/backend.ts";
import { createTfjsExecutor } from "../../src/runtime/tfjs/executor.ts";
import { packedSource, randomSource, type Shape, smallSpec } from "../runtime/random-model.ts";
import { CountedBuffers } from "../runtime/tfjs/counted-buffers.ts";
import { describeOnBackends } from "../support/tensorflow.ts";

/** Plain JavaScript takes nearly a minute for one shape on a machine that others use too. */
const TIMEOUT_MS = 300_000;

/** Each is large in another part: activations, attention scores, feed-forward, one matrix, the output head. */
const SHAPES: readonly { contextTokens: number; shape: Shape }[] = [
  { contextTokens: 600, shape: { hiddenSize: 64, heads: 8, kvHeads: 2, headDim: 16, ropeDims: 16, ffn: 128 } },
  { contextTokens: 1500, shape: { hiddenSize: 16, heads: 8, kvHeads: 8, headDim: 4, ffn: 16 } },
  { contextTokens: 300, shape: { hiddenSize: 32, ffn: 3000 } },
  { contextTokens: 40, shape: { hiddenSize: 128, heads: 1, kvHeads: 1, headDim: 128, ropeDims: 64, ffn: 4500 } },
  { contextTokens: 40, shape: { hiddenSize: 32, vocabSize: 30_000, tied: true } },
];

const buffers = new CountedBuffers();

/** Peaks of the buffers that a prompt and its logits take on some backends, beside what the memory sum provides. */
export function describeWorkspace(backends: readonly Backend[]): void {
  describeOnBackends(
    "workspace on %s",
    (backend) => {
      beforeAll(async () => {
        await openBackend({ backend });
        buffers.install();
      });

      it.each(SHAPES)(
        "provides for all that a prompt and its logits need: $shape",
        async ({ contextTokens, shape }) => {
          const spec = smallSpec({ blocks: 2, ...shape });
          const source = await packedSource(randomSource(spec), "q4s-g32");
          for (const residency of ["packed", "resident"] satisfies Residency[]) {
            // As on a machine without the addon, whose products need the most.
            const executor = await createTfjsExecutor(source, { backend, residency, packedProducts: "typescript" });
            const cache = executor.createCache({ maxTokens: contextTokens });
            const start = buffers.restart();
            for (let position = 0; position < contextTokens; position += PROMPT_CHUNK_ROWS) {
              const count = Math.min(PROMPT_CHUNK_ROWS, contextTokens - position);
              const embedded = await executor.embed(new Int32Array(count).fill(1));
              const hidden = await executor.runBlocks(embedded, 0, spec.blocks.length, [{ cache, position, count }]);
              embedded.dispose();
              const rows = Int32Array.from({ length: LOGIT_ROWS }, (_, i) => i);
              if (count >= LOGIT_ROWS) await executor.logits(hidden, rows);
              hidden.dispose();
            }
            const peak = buffers.peak - start;
            const allowed = workspaceBytes(spec, { contextTokens, residency });
            expect(peak).toBeLessThanOrEqual(allowed);
            // And it is no guess far off: arrays of JavaScript, which tensors do not count, are at most half of it.
            expect(peak).toBeGreaterThan(allowed / 6);
            await executor.dispose();
          }
        },
        TIMEOUT_MS,
      );
    },
    backends,
  );
}
