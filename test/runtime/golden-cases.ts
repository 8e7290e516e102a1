import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import type { WeightSource } from "../../src/model/weight-source.ts";
import type { AnyExecutor, ExecutorFactory } from "../../src/runtime/executor.ts";
import {
  argmax,
  expectSummary,
  feed,
  hiddenStates,
  logitsOf,
  maxDifference,
  negativeLogLikelihoods,
} from "./compare.ts";
import { architectureCases, type Golden, modelCases, readGolden } from "./goldens.ts";

const LOGIT_TOLERANCE = 2e-4;

/**
 * Goldens whose first state is the embedding before its scale: transformers has that factor outside of the embedding
 * there.
 */
const UNSCALED_EMBEDDING: ReadonlySet<string> = new Set(["granite"]);

/** Every golden of every architecture, on one executor that computes in f32: the same cases for all executors. */
export function describeGoldens(createExecutor: ExecutorFactory): void {
  const cases = [...architectureCases(), ...modelCases()];

  it("has every golden", () => expect(cases.length).toBeGreaterThanOrEqual(15));

  describe.each(cases)("golden $name", (goldenCase) => {
    let source: WeightSource;
    let executor: AnyExecutor;
    let golden: Golden;

    beforeAll(async () => {
      golden = readGolden(goldenCase);
      source = await openCheckpoint(goldenCase.folder);
      executor = await createExecutor(source);
    });
    afterAll(async () => {
      await executor.dispose();
      await source.close();
    });

    it("gives the reference logits and likelihoods", async () => {
      const logits = await logitsOf(executor, golden.input_ids[0]);
      expect(maxDifference(logits, golden.logits_seq0.flat())).toBeLessThanOrEqual(LOGIT_TOLERANCE);
      expect(maxDifference(negativeLogLikelihoods(logits, golden.input_ids[0]), golden.nll)).toBeLessThanOrEqual(
        LOGIT_TOLERANCE,
      );
      const second = await logitsOf(executor, golden.input_ids[1]);
      expect(maxDifference(second.slice(-executor.spec.vocabSize), golden.logits_seq1_last)).toBeLessThanOrEqual(
        LOGIT_TOLERANCE,
      );
    });

    it("gives the reference hidden states block by block, and the final norm", async () => {
      const states = await hiddenStates(executor, golden.input_ids[0]);
      expect(states).toHaveLength(golden.hidden.length);
      const { embeddingScale } = executor.spec;
      if (UNSCALED_EMBEDDING.has(goldenCase.name)) states[0] = states[0].map((x) => x / embeddingScale);
      for (const summary of golden.hidden) expectSummary(states[summary.index], executor.spec.hiddenSize, summary);
      const normed = await finalNormed(source, executor, states[states.length - 1]);
      expectSummary(normed, executor.spec.hiddenSize, golden.final_normed);
    });

    it("continues greedily as the reference, a token at a time from chunked prompts", async () => {
      const { prompt, continuation } = golden.greedy;
      expect(await continueGreedily(executor, prompt, continuation.length, 3)).toEqual(continuation);
    });

    it("gives the likelihoods of a long passage and of a short sequence", async () => {
      for (const part of [golden.long, golden.short_sequence]) {
        if (!part) continue;
        const logits = await logitsOf(executor, part.input_ids);
        expect(maxDifference(negativeLogLikelihoods(logits, part.input_ids), part.nll)).toBeLessThanOrEqual(
          LOGIT_TOLERANCE,
        );
      }
      if (golden.short_sequence) {
        const logits = await logitsOf(executor, golden.short_sequence.input_ids);
        const last = logits.slice(-executor.spec.vocabSize);
        expect(maxDifference(last, golden.short_sequence.logits_last)).toBeLessThanOrEqual(LOGIT_TOLERANCE);
      }
    });
  });
}

/** The final norm alone: an exit head whose matrix is the identity gives it. */
async function finalNormed(source: WeightSource, executor: AnyExecutor, hidden: Float32Array): Promise<Float32Array> {
  const { finalNorm: spec, hiddenSize } = source.spec;
  const identity = new Float32Array(hiddenSize * hiddenSize);
  for (let i = 0; i < hiddenSize; i++) identity[i * hiddenSize + i] = 1;
  await executor.loadHead("identity", {
    norm: {
      spec,
      weight: await source.readVector("finalNorm.weight"),
      bias: spec.kind === "layer" ? await source.readVector("finalNorm.bias") : null,
    },
    adapter: null,
    matrix: { kind: "dense", rows: hiddenSize, cols: hiddenSize, data: identity },
    bias: null,
    tail: null,
  });
  const state = executor.write(hidden, hidden.length / hiddenSize);
  const normed = await executor.logits(state, undefined, { head: "identity" });
  executor.release(state);
  return normed;
}

/** Greedy tokens with an f32 cache; where the rotary regime changes the sequence is fed anew. */
async function continueGreedily(
  executor: AnyExecutor,
  prompt: readonly number[],
  tokens: number,
  chunk: number,
): Promise<number[]> {
  const cache = executor.createCache({ maxTokens: prompt.length + tokens, kvType: "f32" });
  const ids = [...prompt];
  let logits = await feed(executor, cache, ids, chunk);
  while (ids.length < prompt.length + tokens) {
    ids.push(argmax(logits));
    if (cache.needsRebuild(ids.length)) {
      cache.truncate(0);
      cache.reserve(ids.length);
      logits = await feed(executor, cache, ids, chunk);
    } else {
      logits = await feed(executor, cache, ids.slice(-1));
    }
  }
  cache.dispose();
  return ids.slice(prompt.length);
}
