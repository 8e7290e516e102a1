import { z } from "zod";
import { defineDrafter, optionalNumber } from "../../../src/decoding/drafters/drafter.ts";
import { OutputRows } from "../../../src/decoding/output-rows.ts";
import {
  type DecodedToken,
  type DecoderParts,
  DecodingCounts,
  feedAndChoose,
  type RoundLimits,
  type TokenDecoder,
} from "../../../src/decoding/speculative/decoder.ts";
import { greedyJudge } from "../../../src/decoding/speculative/draft-judge.ts";
import { mostDrafts, runDrafts, settleRound } from "../../../src/decoding/speculative/drafted-round.ts";
import type { WorkOptions } from "../../../src/progress.ts";

/** The example of docs/adding-a-drafter.md: drafts are what followed the last two tokens where they stood before. */
export const PROMPT_LOOKUP = defineDrafter({
  kind: "prompt-lookup",
  what: "what followed the same words before is the draft, the same text",
  lossless: true,
  unasked: false,
  needs: null,
  options: z.strictObject({ draftLimit: optionalNumber("prompt-lookup: drafts of a round, at most; default: 6") }),
  reports: ["drafts", "plainRounds"],
  bench: null,
  choose: async (_model, { draftLimit = 6 }) => ({ kind: "prompt-lookup" as const, draftLimit }),
  create: (parts, { draftLimit }) => new PromptLookup(parts, draftLimit),
  describe: ({ kind, draftLimit }) => ({ kind, draftLimit }),
});

class PromptLookup implements TokenDecoder {
  private readonly counts = new DecodingCounts();
  private readonly output: OutputRows;
  private readonly parts: DecoderParts;
  private readonly draftLimit: number;

  constructor(parts: DecoderParts, draftLimit: number) {
    this.parts = parts;
    this.draftLimit = draftLimit;
    this.output = new OutputRows(parts.session.executor);
  }

  get statistics() {
    return this.counts.statistics("prompt-lookup");
  }

  first(promptIds: ArrayLike<number>, options: WorkOptions): Promise<DecodedToken> {
    return feedAndChoose(this.parts, promptIds, options, this.counts);
  }

  async next(limits: RoundLimits): Promise<readonly DecodedToken[]> {
    const { parts, counts, output } = this;
    const { session, sampler, history } = parts;
    const { signal, ends } = limits;
    const ids = lookUp(history, Math.min(this.draftLimit, mostDrafts(parts, limits)));
    // Drafts never lead into another rotary regime: there the sequence is computed anew.
    if (ids.length === 0 || session.kvCache.needsRebuild(session.length + 1 + ids.length)) {
      counts.plainRounds++;
      return [await feedAndChoose(parts, history.slice(-1), { signal }, counts)];
    }
    const start = session.length;
    const judge = greedyJudge(sampler);
    const fed = [history[history.length - 1], ...ids];
    try {
      await runDrafts(parts, { ids: fed, output, judge, signal });
      // No block was run to find them.
      const drafts = ids.map((id) => ({ id, blocks: 0 }));
      return settleRound(parts, { fed, drafts, output }, { judge, counts, ends });
    } catch (error) {
      session.truncate(start);
      throw error;
    }
  }

  close(): void {}
}

/** What followed the last two ids where they stood last before, at most so many. */
function lookUp(history: readonly number[], most: number): number[] {
  const [a, b] = history.slice(-2);
  for (let at = history.length - 3; at > 0; at--) {
    if (history[at - 1] === a && history[at] === b) return history.slice(at + 1, at + 1 + Math.max(0, most));
  }
  return [];
}
