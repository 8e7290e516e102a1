import { surelyMet } from "../../decoding/drafters/dssd/variants.ts";
import { acceptedId, type ExitSet } from "../../decoding/exits/exit-set.ts";
import { throwIfAborted } from "../../errors.ts";
import { rowsOf } from "../../passes/rows.ts";
import { moveRows, startRows } from "../../passes/run-rows.ts";
import type { WorkOptions } from "../../progress.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import { emptyAnswers } from "../../runtime/head-answers.ts";
import type { DraftUse } from "./cost-model.ts";

/** A greedy text. */
export interface PlainText {
  readonly prompt: Int32Array;
  readonly ids: readonly number[];
}

/**
 * What drafting would do if each exit knew whether it is right: a token leaves at the first exit whose answer is the
 * model's, nothing is wasted. No threshold and no training of the confidence can beat that with these heads. Texts are
 * run again, one pass each.
 */
export async function perfectUse(
  executor: AnyExecutor,
  exits: ExitSet,
  { texts, draftLimit, signal }: { readonly texts: readonly PlainText[]; readonly draftLimit: number } & WorkOptions,
): Promise<DraftUse> {
  const left = exits.exits.map(() => 0);
  let [tokens, rounds] = [0, 0];
  for (const { prompt, ids } of texts) {
    throwIfAborted(signal);
    // The first token comes with the prompt.
    const leaving = await firstRight(executor, exits, { prompt, ids });
    tokens += leaving.length;
    let drafts = 0;
    for (const [at, exit] of leaving.entries()) {
      const drafted = exit >= 0 && drafts < draftLimit && at + 1 < leaving.length;
      if (drafted) left[exit]++;
      else rounds++;
      drafts = drafted ? drafts + 1 : 0;
    }
  }
  const drafted = left.reduce((sum, count) => sum + count, 0);
  return {
    ...{ tokens, rounds, plainRounds: 0, drafted, accepted: drafted },
    exitShares: left.map((count) => (drafted === 0 ? 0 : count / drafted)),
    asked: left.map((count) => count > 0),
    endsUnsure: true,
  };
}

/** For each token but the first: index of the first exit that would have said it, or -1. */
async function firstRight(executor: AnyExecutor, exits: ExitSet, { prompt, ids }: PlainText): Promise<number[]> {
  const rows = ids.length - 1;
  if (rows < 1) return [];
  const fed = Int32Array.from([...prompt, ...ids.slice(0, rows)]);
  const asked = Int32Array.from({ length: rows }, (_, row) => prompt.length + row);
  const found = new Array<number>(rows).fill(-1);
  const into = emptyAnswers(rows);
  const always = surelyMet(exits.confidence);
  const moving = await startRows(executor, rowsOf([fed]));
  try {
    for (const [exit, { blocks, head }] of exits.exits.entries()) {
      await moveRows(executor, moving, blocks, { answers: { head, rows: asked, into } });
      for (let row = 0; row < rows; row++) {
        if (found[row] < 0 && acceptedId(exits, into, always, row) === ids[row + 1]) found[row] = exit;
      }
    }
  } finally {
    executor.release(moving.hidden);
  }
  return found;
}
