import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { countVotes } from "../../../src/decoding/exits/ballot.ts";
import { type ExitSet, exitSetOf } from "../../../src/decoding/exits/exit-set.ts";
import { votingExecutor } from "../../../src/decoding/exits/voting-executor.ts";
import { type OpenModel, openModel } from "../../../src/decoding/open-model.ts";
import { rowsOf } from "../../../src/passes/rows.ts";
import { moveRows, runRows, startRows } from "../../../src/passes/run-rows.ts";
import type { AnyExecutor } from "../../../src/runtime/executor.ts";
import { emptyAnswers } from "../../../src/runtime/head-answers.ts";
import { OUTPUT_HEAD } from "../../../src/runtime/heads.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { counted } from "../../passes/counted-executor.ts";
import { TEST_EXECUTORS } from "../../runtime/test-executors.ts";
import { makeStoriesWithExits } from "../artifact-with-exits.ts";

const ROWS = rowsOf([Int32Array.of(3, 1, 4), Int32Array.of(1, 5)]);
const ASKED = Int32Array.of(2, 4);

describe.each(TEST_EXECUTORS)("an executor that votes, on %s", (kind) => {
  const folder = path.join(temporaryFolder(), "exits");
  let model: OpenModel;
  let exits: ExitSet;
  let inner: AnyExecutor;
  let live: () => number;
  let voting: AnyExecutor;

  beforeAll(async () => {
    await makeStoriesWithExits(folder);
    model = await openModel(folder, { executor: kind, threads: 1 });
    const loaded = await model.loadExits();
    if (loaded === null) throw new Error("the artifact has no exits");
    exits = exitSetOf(loaded.table, loaded.ids);
    ({ executor: inner, live } = counted(model.executor));
    voting = votingExecutor(inner, exits);
  });
  afterAll(() => model?.close());

  /** The vote by passes to each depth of its own. */
  async function expected(): Promise<Float32Array> {
    const { spec } = inner;
    const votes = [];
    for (const { blocks, head } of [...exits.exits, { blocks: spec.blocks.length, head: OUTPUT_HEAD }]) {
      const hidden = await runRows(inner, ROWS, {}, blocks);
      const logits = await inner.logits(hidden, ASKED, head === OUTPUT_HEAD ? {} : { head });
      votes.push({ logits, ids: head === OUTPUT_HEAD ? null : exits.ids });
      inner.release(hidden);
    }
    return countVotes(votes, { rows: ASKED.length, vocabSize: spec.vocabSize, comparer: inner.maths.rowComparer() });
  }

  it("says what exits and output head say together, in one pass or in several", async () => {
    const votes = await expected();
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

  it("throws for rows that did not come by an exit, and keeps nothing of a pass that fails", async () => {
    const written = voting.write(new Float32Array(voting.spec.hiddenSize), 1);
    await expect(voting.logits(written)).rejects.toThrow("vote: rows that did not come by exit.");
    const span = [{ cache: null, position: 0, count: 2 }];
    await expect(voting.runBlocks(written, 0, 2, span)).rejects.toThrow();
    voting.release(written);
    expect(live()).toBe(0);
  });
});
