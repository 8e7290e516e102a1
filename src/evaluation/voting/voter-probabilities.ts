import type { Voters } from "../../decoding/exits/voters.ts";
import { rowsOf } from "../../passes/rows.ts";
import { walkBlocks } from "../../passes/walk-blocks.ts";
import type { WorkOptions } from "../../progress.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import { OUTPUT_HEAD } from "../../runtime/heads.ts";
import { notFinite } from "../../runtime/not-finite.ts";
import { LOGIT_BYTES, rowsOfLogits } from "../logit-rows.ts";
import { groupWindows, type Targets, targetsOf } from "../passes.ts";
import { countTargets, type Window } from "../windows.ts";

/** Rows of a pass. */
const ROWS_PER_PASS = 2048;

/** What one voter says of the tokens that follow, as logarithms of probabilities, [tokens] each. */
export interface VoterProbabilities {
  /** -Infinity: the token is none of its ids. */
  readonly targets: Float64Array;
  /** That it is none of its ids; -Infinity where it has all. */
  readonly tails: Float64Array;
}

/**
 * What each exit, and after them the output head, says of every target of the windows; the model runs once. Keys and
 * values are f32. Throws UserError where a logit is not finite.
 */
export async function voterProbabilities(
  executor: AnyExecutor,
  { exits, ids }: Voters,
  windows: readonly Window[],
  { signal, onProgress }: WorkOptions,
): Promise<VoterProbabilities[]> {
  const { vocabSize, blocks } = executor.spec;
  const places = ids && new Map(Array.from(ids, (id, place) => [id, place]));
  const all = [
    ...exits.map((exit) => ({ ...exit, places })),
    { blocks: blocks.length, head: OUTPUT_HEAD, places: null },
  ];
  const tokens = countTargets(windows);
  const found = all.map(() => ({
    targets: new Float64Array(tokens),
    tails: new Float64Array(tokens).fill(Number.NEGATIVE_INFINITY),
  }));
  const comparer = executor.maths.rowComparer();
  const step = rowsOfLogits(vocabSize, LOGIT_BYTES);

  /** Fills one voter's part from token `at` on. */
  async function ask(voter: number, hidden: unknown, { rows, ids: wanted }: Targets, at: number): Promise<void> {
    const { head, places: own } = all[voter];
    for (let from = 0; from < rows.length; from += step) {
      const some = rows.subarray(from, from + step);
      const logits = await executor.logits(hidden, some, { head });
      const width = logits.length / some.length;
      const { logSumExps } = await comparer.summarize(logits, some.length);
      for (const [i, logSumExp] of logSumExps.entries()) {
        if (!Number.isFinite(logSumExp)) throw notFinite(`logits of scored token ${at + from + i}`);
        const id = wanted[from + i];
        const place = own ? own.get(id) : id;
        const { targets, tails } = found[voter];
        const logOf = (index: number) => logits[i * width + index] - logSumExp;
        targets[at + from + i] = place === undefined ? Number.NEGATIVE_INFINITY : logOf(place);
        if (own) tails[at + from + i] = logOf(own.size);
      }
    }
  }

  let at = 0;
  let done = 0;
  for (const pass of groupWindows(windows, ROWS_PER_PASS)) {
    const targets = targetsOf(pass);
    const group = { index: 0, ...rowsOf(pass.map((window) => window.ids)) };
    const see = async ({ depth, state }: { readonly depth: number; readonly state: { readonly hidden: unknown } }) => {
      for (const [voter, one] of all.entries()) if (one.blocks === depth) await ask(voter, state.hidden, targets, at);
    };
    await walkBlocks(executor, [group], { depths: all.map((one) => one.blocks), see, signal });
    at += targets.ids.length;
    done += pass.length;
    onProgress?.({ stage: "asking voters", done, total: windows.length, detail: `${at} tokens` });
  }
  return found;
}
