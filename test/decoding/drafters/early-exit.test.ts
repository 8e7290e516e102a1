import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { acceptedId, type ExitSet, levelFor } from "../../../src/decoding/exits/exit-set.ts";
import { mostLikely } from "../../../src/decoding/sampler.ts";
import type { WeightSource } from "../../../src/model/weight-source.ts";
import type { AnyExecutor } from "../../../src/runtime/executor.ts";
import { HAS_ADDON, needsAddon } from "../../runtime/native/addon-state.ts";
import { randomSource, smallSpec } from "../../runtime/random-model.ts";
import { ALWAYS, continueWith, loadExits, NEVER, openExecutor, SOMETIMES } from "../speculative/exit-cases.ts";

/** The next token and its depth, everything computed anew without a cache. */
async function slowNext(executor: AnyExecutor, ids: readonly number[], exits: ExitSet, epsilon: number) {
  const { thresholds } = exits.levels[levelFor(exits, epsilon)];
  const { blocks } = executor.spec;
  const span = { cache: null, position: 0, count: ids.length };
  const embedded = await executor.embed(Int32Array.from(ids));
  for (const [i, { blocks: count, head }] of exits.exits.entries()) {
    const hidden = await executor.runBlocks(embedded, 0, count, [span]);
    const answers = await executor.answers(hidden, Int32Array.of(ids.length - 1), { head });
    executor.release(hidden);
    const id = acceptedId(exits, answers, thresholds[i]);
    if (id !== null) {
      executor.release(embedded);
      return { id, depth: count };
    }
  }
  const hidden = await executor.runBlocks(embedded, 0, blocks.length, [span]);
  const id = mostLikely(await executor.logits(hidden, Int32Array.of(ids.length - 1)));
  executor.release(hidden);
  executor.release(embedded);
  return { id, depth: blocks.length };
}

const SHAPES = [
  { blocks: 5 },
  { blocks: 4, window: 9, tied: true },
  { blocks: 3, residual: "parallel", norm: "layer", gated: false, bias: true },
] as const;

describe.skipIf(!HAS_ADDON)(needsAddon("early exit on native"), () => {
  describe.each(SHAPES)("%o", (shape) => {
    let source: WeightSource;
    let executor: AnyExecutor;
    beforeAll(async () => {
      source = randomSource(smallSpec(shape));
      executor = await openExecutor(source, "native");
    });
    afterAll(() => executor.dispose());

    it.each([NEVER, SOMETIMES, ALWAYS])("equals a decoder without a cache, level %d", async (epsilon) => {
      for (const ids of [null, Int32Array.from({ length: 20 }, (_, i) => (i * 5) % 37)]) {
        const exits = await loadExits(executor, source, { ids, seed: 4 });
        const prompt = [5, 9, 1, 30];
        const maxTokens = epsilon === ALWAYS ? 40 : 24;
        const decode = { kind: "early-exit", exits, epsilon } as const;
        const { generation, depths, session } = await continueWith(executor, prompt, decode, { maxTokens });
        const sequence = [...prompt];
        // The prompt's own answer comes from full depth.
        for (const [i, id] of generation.ids.entries()) {
          const slow = await slowNext(executor, sequence, i === 0 ? { ...exits, exits: [] } : exits, epsilon);
          expect([id, depths[i]]).toEqual([slow.id, slow.depth]);
          sequence.push(id);
        }
        if (epsilon !== NEVER) expect(depths.some((depth) => depth < executor.spec.blocks.length)).toBe(true);
        if (epsilon === ALWAYS) expect(generation.decoding.sharedPasses).toBe(1);
        // What comes next knows full depth of every token: the session goes on as one that was fed.
        const plain = await continueWith(executor, [...prompt, ...generation.ids], { kind: "plain" }, { maxTokens: 1 });
        expect(mostLikely(await session.feed(generation.ids.slice(-1)))).toBe(plain.generation.ids[0]);
        session.close();
        plain.session.close();
      }
    });
  });
});
