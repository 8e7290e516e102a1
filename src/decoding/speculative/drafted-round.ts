import { runRows } from "../../passes/run-rows.ts";
import type { OutputAnswers, OutputRows } from "../output-rows.ts";
import type { DecodedToken, DecoderParts, DecodingCounts } from "./decoder.ts";
import type { DraftJudge } from "./draft-judge.ts";

/** Drafts of a round, at most: fewer than the positions that a sliding window's cache can take back. */
export const MOST_DRAFTS = 32;

/** A draft token, and the blocks that ran before it was proposed. */
export interface Draft {
  readonly id: number;
  readonly blocks: number;
}

/** What a round has drafted when its rows have run every block. */
export interface DraftedRound {
  /** Ids of the rows: the last token of the text, then drafts; a draft that ends the text is not fed. */
  readonly fed: readonly number[];
  readonly drafts: readonly Draft[];
  /** What the output head says of each row. */
  readonly output: OutputAnswers;
}

/** Drafts that a round may have: what is left of the wanted tokens and of the context, and `MOST_DRAFTS`. */
export function mostDrafts({ session }: DecoderParts, limits: { readonly tokens: number }): number {
  return Math.min(limits.tokens - 1, session.contextTokens - session.length - 1, MOST_DRAFTS);
}

/**
 * Runs the rows of a round, the last token of the text and drafts after it, through every block in one pass, and asks
 * the output head about each. After a failure truncate the session to what it held.
 */
export async function runDrafts(
  { session }: DecoderParts,
  {
    ids,
    output,
    judge,
    signal,
  }: {
    readonly ids: readonly number[];
    readonly output: OutputRows;
    readonly judge: DraftJudge;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const { executor, kvCache: cache, length: position } = session;
  const count = ids.length;
  cache.reserve(position + count);
  const rows = { ids: Int32Array.from(ids), spans: [{ cache, position, count }] };
  executor.release(await runRows(executor, rows, { signal, ...output.ask(0, count, judge.needs.output) }));
}

/**
 * The tokens that the full model takes: drafts up to the first that it does not, and its own after them. They are the
 * session's and the history's then, and counted.
 */
export function settleRound(
  { session, history }: DecoderParts,
  { fed, drafts, output }: DraftedRound,
  {
    judge,
    counts,
    ends,
  }: {
    readonly judge: DraftJudge;
    readonly counts: DecodingCounts;
    readonly ends: (id: number) => boolean;
  },
): DecodedToken[] {
  const { blocks } = session.executor.spec;
  const given: DecodedToken[] = [];
  for (let row = 0; row < fed.length; row++) {
    const draft: Draft | undefined = drafts[row];
    const id = judge.settle(output, row, draft?.id ?? null, history);
    const taken = id === draft?.id;
    const token = { id, blocks: taken ? draft.blocks : blocks.length };
    given.push(token);
    history.push(id);
    counts.add(token);
    if (taken) counts.accepted++;
    if (!taken || ends(id)) break;
  }
  counts.drafted += drafts.length;
  if (fed.length > 1) counts.sharedPasses++;
  session.adopt(fed.slice(0, given.length));
  return given;
}
