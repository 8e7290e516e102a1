import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Ballot } from "../../../src/decoding/exits/ballot.ts";
import { exitSetOf } from "../../../src/decoding/exits/exit-set.ts";
import { VOTE_RULES } from "../../../src/decoding/exits/vote-rules/index.ts";
import { sharedVoters, type Voters, type Voting } from "../../../src/decoding/exits/voters.ts";
import { votingExecutor } from "../../../src/decoding/exits/voting-executor.ts";
import { type OpenModel, openModel } from "../../../src/decoding/open-model.ts";
import { rowsOf } from "../../../src/passes/rows.ts";
import { moveRows, runRows, startRows } from "../../../src/passes/run-rows.ts";
import { emptyAnswers } from "../../../src/runtime/head-answers.ts";
import { OUTPUT_HEAD } from "../../../src/runtime/heads.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { counted } from "../../passes/counted-executor.ts";
import { TEST_EXECUTORS } from "../../runtime/test-executors.ts";
import { makeStoriesWithExits } from "../artifact-with-exits.ts";

const ROWS = rowsOf([Int32Array.of(3, 1, 4), Int32Array.of(1, 5)]);
const ASKED = Int32Array.of(2, 4);

/** Exits as they may vote: with heads of their own, or the output head's, by each rule. */
const CASES: readonly { readonly name: string; readonly trained: boolean; readonly how: Omit<Voting, "exits"> }[] = [
  { name: "heads of their own, by max", trained: true, how: { vote: "max", weights: null } },
  { name: "heads of their own, by weights", trained: true, how: { vote: "weighted", weights: [0.2, 0.3, 0.5] } },
  { name: "the output head, by weights", trained: false, how: { vote: "weighted", weights: [3, 0, 1] } },
];

describe.each(TEST_EXECUTORS)("on %s, an executor that votes through", (kind) => {
  const folder = path.join(temporaryFolder(), "exits");
  let model: OpenModel;
  let trained: Voters;

  beforeAll(async () => {
    await makeStoriesWithExits(folder);
    model = await openModel(folder, { executor: kind, threads: 1 });
    const loaded = await model.loadExits();
    if (loaded === null) throw new Error("the artifact has no exits");
    trained = exitSetOf(loaded.table, loaded.ids);
  });
  afterAll(() => model?.close());

  /** Votes through the model, whose hidden states are counted. */
  function opened({ trained: own, how }: (typeof CASES)[number]) {
    const exits = own ? trained : sharedVoters(model.executor.spec, [1, 3]);
    const { executor: inner, live } = counted(model.executor);
    return { exits, inner, live, how, voting: votingExecutor(inner, { exits, ...how }) };
  }

  /** The vote by passes to each depth of its own. */
  async function expected({ exits, inner, how }: ReturnType<typeof opened>): Promise<Float32Array> {
    const { vocabSize, blocks } = inner.spec;
    const comparer = inner.maths.rowComparer();
    const ballot = new Ballot({ rows: ASKED.length, vocabSize, rule: VOTE_RULES[how.vote], comparer });
    const output = { blocks: blocks.length, head: OUTPUT_HEAD, ids: null };
    for (const [i, one] of [output, ...exits.exits.map((exit) => ({ ...exit, ids: exits.ids }))].entries()) {
      // The output head's stands last.
      const weight = how.weights?.at(i - 1) ?? 1;
      if (weight === 0) continue;
      const hidden = await runRows(inner, ROWS, {}, one.blocks);
      await ballot.add({ logits: await inner.logits(hidden, ASKED, { head: one.head }), ids: one.ids }, weight);
      inner.release(hidden);
    }
    return ballot.count();
  }

  it.each(CASES)("$name says what they say together, in one pass or in several", async (one) => {
    const given = opened(one);
    const { voting, live } = given;
    const votes = await expected(given);
    const { vocabSize, blocks } = voting.spec;
    const into = new Float32Array(ASKED.length * vocabSize);
    const answers = emptyAnswers(ASKED.length);
    const hidden = await runRows(voting, ROWS, { logits: { rows: ASKED, into } });
    expect(into).toEqual(votes);
    voting.release(hidden);

    const moving = await startRows(voting, ROWS);
    for (const depth of blocks.keys()) await moveRows(voting, moving, depth + 1);
    expect(await voting.logits(moving.hidden, ASKED)).toEqual(votes);
    expect(await voting.answers(moving.hidden, ASKED, { head: OUTPUT_HEAD, into: answers })).toBe(answers);
    const best = (row: number) => answers.best[row] + row * vocabSize;
    expect(votes[best(0)]).toBe(Math.max(...votes.subarray(0, vocabSize)));
    expect(votes[best(1)]).toBe(Math.max(...votes.subarray(vocabSize)));

    const [first, rest] = [voting.slice(moving.hidden, 0, 2), voting.slice(moving.hidden, 2, 5)];
    const whole = voting.stack([first, rest]);
    expect(await voting.logits(whole, ASKED)).toEqual(votes);
    for (const state of [moving.hidden, first, rest, whole]) voting.release(state);
    expect(live()).toBe(0);
  });

  it("one voter alone says what its head says", async () => {
    const { spec } = model.executor;
    for (const [i, depth] of [1, 3, spec.blocks.length].entries()) {
      const weights = [0, 0, 0].with(i, 0.7);
      const { voting } = opened({ name: "", trained: false, how: { vote: "weighted", weights } });
      const hidden = await runRows(voting, ROWS);
      const found = await voting.logits(hidden, ASKED);
      voting.release(hidden);
      const at = await runRows(model.executor, ROWS, {}, depth);
      const logits = await model.executor.logits(at, ASKED);
      model.executor.release(at);
      const { logSumExps } = await model.executor.maths.rowComparer().summarize(logits, ASKED.length);
      for (const [at, logit] of logits.entries()) {
        expect(found[at]).toBeCloseTo(logit - logSumExps[Math.floor(at / spec.vocabSize)], 4);
      }
    }
  });

  it("throws for rows that did not come by an exit, and keeps nothing of a pass that fails", async () => {
    const { voting, live } = opened(CASES[0]);
    const written = voting.write(new Float32Array(voting.spec.hiddenSize), 1);
    await expect(voting.logits(written)).rejects.toThrow("vote: rows that did not come by the exit after 1 blocks");
    const span = [{ cache: null, position: 0, count: 2 }];
    await expect(voting.runBlocks(written, 0, 2, span)).rejects.toThrow();
    voting.release(written);
    expect(live()).toBe(0);
  });
});
