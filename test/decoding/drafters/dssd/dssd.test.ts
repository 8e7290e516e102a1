import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Generation } from "../../../../src/decoding/generate.ts";
import { mostLikely } from "../../../../src/decoding/sampler.ts";
import { Session } from "../../../../src/decoding/session.ts";
import { openCheckpoint } from "../../../../src/model/checkpoint.ts";
import type { WeightSource } from "../../../../src/model/weight-source.ts";
import type { AnyExecutor } from "../../../../src/runtime/executor.ts";
import { softmax } from "../../../references/ops.ts";
import { architectureCases, readGolden } from "../../../runtime/goldens.ts";
import { HAS_ADDON, needsAddon } from "../../../runtime/native/addon-state.ts";
import { randomSource, smallSpec } from "../../../runtime/random-model.ts";
import {
  ALWAYS,
  continueWith,
  dssd,
  loadExits,
  NEVER,
  openExecutor,
  quietSource,
  SOMETIMES,
} from "../../speculative/exit-cases.ts";

/** Distance of the two largest logits below which tfjs, whose numbers depend on the batch, may take the other token. */
const CLOSE = 1e-3;

/**
 * A prompt that ends a little before the window is full, or the length at which a longrope model changes its factors.
 */
function promptLength({ spec }: WeightSource, golden: number): number {
  for (const { attention } of spec.blocks) {
    if (attention?.window) return attention.window - 6;
    const scaling = attention?.rope?.scaling;
    if (scaling?.kind === "longrope") return scaling.originalMaxPositions - 9;
  }
  return golden;
}

describe.skipIf(!HAS_ADDON)(needsAddon("DSSD on native"), () => {
  describe.each(architectureCases())("$name", (architecture) => {
    let source: WeightSource;
    let executor: AnyExecutor;
    let prompt: number[];
    let plain: Generation;

    beforeAll(async () => {
      source = quietSource(await openCheckpoint(architecture.folder));
      executor = await openExecutor(source, "native");
      const start = readGolden(architecture).greedy.prompt;
      prompt = Array.from({ length: promptLength(source, start.length) }, (_, i) => start[i % start.length]);
      const { generation, session } = await continueWith(executor, prompt, { kind: "plain" });
      plain = generation;
      session.close();
    });
    afterAll(async () => {
      await executor.dispose();
      await source.close();
    });

    it.each(["lens", "random"] as const)("gives plain decoding's text, %s heads", async (heads) => {
      const exits = await loadExits(executor, source, { heads, seed: 3 });
      for (const epsilon of heads === "lens" ? [NEVER, SOMETIMES, ALWAYS] : [SOMETIMES, ALWAYS]) {
        for (const draftLimit of epsilon === NEVER ? [4] : [2, 32]) {
          const { generation, session } = await continueWith(executor, prompt, dssd(exits, epsilon, draftLimit));
          expect(generation.ids).toEqual(plain.ids);
          expect(generation.reason).toBe(plain.reason);
          const { drafted, accepted, depths } = generation.decoding;
          if (epsilon === NEVER) expect(drafted).toBe(0);
          if (epsilon === ALWAYS) expect(drafted).toBeGreaterThan(0);
          if (epsilon === ALWAYS && heads === "lens") expect(accepted).toBeGreaterThan(0);
          const early = depths.filter(({ blocks }) => blocks < executor.spec.blocks.length);
          expect(early.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(accepted);
          expect(session.length).toBe(prompt.length + plain.ids.length - 1);
          session.close();
        }
      }
    });

    it("gives it with the controller that adapts, whatever the clock says", async () => {
      const exits = await loadExits(executor, source, { seed: 3 });
      for (const step of [1, 7]) {
        let ms = 0;
        const now = () => {
          ms += step * ((ms % 3) + 1);
          return ms;
        };
        const decode = { kind: "dssd", exits, epsilon: ALWAYS } as const;
        const { generation, session } = await continueWith(executor, prompt, decode, { now });
        expect(generation.ids).toEqual(plain.ids);
        session.close();
      }
    });
  });
});

describe.each([{ blocks: 4 }, { blocks: 3, window: 9, residual: "parallel", tied: true }] as const)(
  "DSSD on tfjs, %o",
  (shape) => {
    it("differs from plain decoding only where the two largest logits are close", async () => {
      const source = quietSource(randomSource(smallSpec(shape), 7));
      const executor = await openExecutor(source, "tfjs");
      const ids = Int32Array.from({ length: 25 }, (_, i) => (i * 3) % 37);
      let differing = 0;
      for (const exits of [await loadExits(executor, source), await loadExits(executor, source, { ids, seed: 5 })]) {
        for (const epsilon of [SOMETIMES, ALWAYS]) {
          const { generation, session } = await continueWith(executor, [5, 9, 1], dssd(exits, epsilon, 4), {
            maxTokens: 10,
          });
          session.truncate(2);
          for (const [i, id] of generation.ids.entries()) {
            const logits = await session.feed(i === 0 ? [1] : [generation.ids[i - 1]]);
            if (mostLikely(logits) === id) continue;
            const [first, second] = Array.from(logits).sort((a, b) => b - a);
            expect(first - second).toBeLessThan(CLOSE);
            differing++;
          }
          session.close();
        }
      }
      expect(differing).toBeLessThanOrEqual(1);
      await executor.dispose();
    });
  },
);

describe.skipIf(!HAS_ADDON)(needsAddon("DSSD with a temperature"), () => {
  it("draws pairs of tokens by the full model's probabilities", async () => {
    const vocabSize = 5;
    const source = quietSource(randomSource(smallSpec({ blocks: 3, vocabSize }), 13));
    const executor = await openExecutor(source, "native");
    const exits = await loadExits(executor, source);
    const prompt = [1, 4, 2];
    const runs = 600;
    const counts = new Float64Array(vocabSize * vocabSize);
    for (let seed = 0; seed < runs; seed++) {
      const sampler = { temperature: 1.3, seed };
      // Three tokens: the second is a draft's, the third is there for it to be one.
      const { generation, session } = await continueWith(executor, prompt, dssd(exits, ALWAYS, 4), {
        sampler,
        maxTokens: 3,
      });
      counts[generation.ids[0] * vocabSize + generation.ids[1]]++;
      session.close();
    }
    const chances = await pairChances(executor, prompt, 1.3);
    let chiSquare = 0;
    for (let pair = 0; pair < counts.length; pair++) {
      chiSquare += (counts[pair] - runs * chances[pair]) ** 2 / (runs * chances[pair]);
    }
    // 99.9 % quantile with 24 degrees of freedom.
    expect(chiSquare).toBeLessThan(51.18);
    await executor.dispose();
  });
});

/** Probability of every pair of next tokens, [vocabSize, vocabSize]. */
async function pairChances(executor: AnyExecutor, prompt: number[], temperature: number): Promise<number[]> {
  const session = new Session(executor, { contextTokens: 16, kvType: "f32" });
  const next = async (ids: number[]) => {
    session.truncate(0);
    return Array.from(softmax((await session.feed(ids)).map((logit) => logit / temperature)));
  };
  const pairs: number[] = [];
  for (const [id, chance] of (await next(prompt)).entries()) {
    pairs.push(...(await next([...prompt, id])).map((second) => chance * second));
  }
  session.close();
  return pairs;
}
