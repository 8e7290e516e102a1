import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exitHeadOf, sharedRows } from "../../../src/decoding/exits/load.ts";
import { sharedVoters, type Voters } from "../../../src/decoding/exits/voters.ts";
import { votingExecutor } from "../../../src/decoding/exits/voting-executor.ts";
import { evaluate } from "../../../src/evaluation/evaluate.ts";
import { fitVoteWeights, reportVote, voteLosses } from "../../../src/evaluation/voting/calibrate-vote.ts";
import { voterProbabilities } from "../../../src/evaluation/voting/voter-probabilities.ts";
import { separateWindows } from "../../../src/evaluation/windows.ts";
import { scoreChoices } from "../../../src/evaluation/zero-shot/score-choices.ts";
import { type Checkpoint, openCheckpoint } from "../../../src/model/checkpoint.ts";
import { createExecutor } from "../../../src/runtime/create-executor.ts";
import type { AnyExecutor } from "../../../src/runtime/executor.ts";
import { Random } from "../../../src/tensor/random.ts";
import { tinyContents } from "../../artifact/exits/tiny-exits.ts";
import { TEST_EXECUTORS } from "../../runtime/test-executors.ts";
import { ARCHITECTURES } from "../../support/fixtures.ts";

const FAMILIES = ["llama-gqa", "neox-parallel", "phi"];
const CASES = FAMILIES.flatMap((family) => TEST_EXECUTORS.map((kind) => [family, kind] as const));
const mean = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe.each(CASES)("votes of %s on %s", (family, kind) => {
  let source: Checkpoint;
  let executor: AnyExecutor;
  let some: Voters;

  /** Texts of ids drawn by a seed. */
  const textsOf = (seed: number) => {
    const random = new Random(seed);
    const { vocabSize } = source.spec;
    return separateWindows(
      [9, 5, 14].map((length) => Int32Array.from({ length }, () => Math.floor(random.next() * vocabSize))),
    );
  };

  beforeAll(async () => {
    source = await openCheckpoint(path.join(ARCHITECTURES, family));
    executor = await createExecutor(source, { executor: kind, residency: "resident", activations: "f32" });
    const shape = { exits: [{ kind: "adapter" as const, rank: 3 }], vocabulary: { ids: 20 } };
    const { ids, exits } = tinyContents(source.spec, shape);
    const [{ norm, ...own }] = exits;
    if (!norm) throw new Error("an adapter has a norm");
    await executor.loadHead("exit.1", exitHeadOf(source.spec, { norm, ...own }, await sharedRows(source, ids)));
    some = { exits: [{ blocks: 1, head: "exit.1" }], ids };
  });
  afterAll(async () => {
    await executor?.dispose();
    await source?.close();
  });

  it("lose by their probabilities what the executor that votes loses, a head over some ids too", async () => {
    const windows = textsOf(3);
    for (const exits of [sharedVoters(source.spec, [1]), some]) {
      const found = await voterProbabilities(executor, exits, windows.windows, {});
      for (const weights of [
        [0.3, 0.7],
        [0, 1],
        [2, 1],
      ]) {
        const voting = votingExecutor(executor, { exits, vote: "weighted", weights });
        const { model } = await evaluate({ executor: voting, windows });
        expect(mean(voteLosses(found, weights))).toBeCloseTo(model.meanNll, 5);
      }
      const shares = found.map(({ targets, tails }) => [...targets.keys()].map((i) => [targets[i], tails[i]]));
      for (const [target, tail] of shares.flat()) expect(Math.exp(target) + Math.exp(tail)).toBeLessThan(1 + 1e-6);
    }
  });

  it("score zero-shot choices as they say, which share a beginning's caches", async () => {
    const [context, ...endings] = textsOf(7).windows.map(({ ids }) => [...ids]);
    const shared = [...context, ...context];
    const choices = endings.map((ending) => ({
      ids: Int32Array.from([...shared, ...ending.slice(0, 3)]),
      firstTarget: shared.length,
    }));
    const exits = sharedVoters(source.spec, [1, 2]);
    const weights = [0.2, 0.3, 0.5];
    const voting = votingExecutor(executor, { exits, vote: "weighted", weights });
    const [scores] = await scoreChoices(voting, [choices], { kvType: "f32", rowsPerPass: 512 });
    for (const [i, { logLikelihood }] of scores.entries()) {
      const found = await voterProbabilities(executor, exits, [choices[i]], {});
      const expected = voteLosses(found, weights).reduce((sum, loss) => sum - loss, 0);
      expect(logLikelihood).toBeCloseTo(expected, 4);
    }
  });

  it("are fitted to make text likelier than the output head alone does, and reported on other text", async () => {
    const asked = { executor, exits: sharedVoters(source.spec, [1]) };
    const [fit, other] = [textsOf(3), textsOf(4)];
    const { weights, tokens } = await fitVoteWeights(asked, fit.windows);
    expect([weights.length, tokens]).toEqual([2, 25]);
    const own = await reportVote(asked, weights, fit.windows);
    expect(own.voteNll).toBeLessThanOrEqual(own.outputNll + 1e-9);
    const report = await reportVote(asked, weights, other.windows);
    const voting = votingExecutor(executor, { exits: asked.exits, vote: "weighted", weights });
    const [plain, vote] = [
      await evaluate({ executor, windows: other }),
      await evaluate({ executor: voting, windows: other }),
    ];
    expect(report.outputNll).toBeCloseTo(plain.model.meanNll, 5);
    expect(report.voteNll).toBeCloseTo(vote.model.meanNll, 5);
    expect(report.tokens).toBe(25);
    await expect(fitVoteWeights(asked, [])).rejects.toMatchObject({ code: "TEXT_TOO_SHORT" });
  });
});
