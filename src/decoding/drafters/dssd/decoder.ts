import type { WorkOptions } from "../../../progress.ts";
import type { ExitSet } from "../../exits/exit-set.ts";
import {
  type DecodedToken,
  type DecoderParts,
  DecodingCounts,
  type DecodingStatistics,
  feedAndChoose,
  type RoundLimits,
  type TokenDecoder,
} from "../../speculative/decoder.ts";
import type { DraftJudge } from "../../speculative/draft-judge.ts";
import { type Draft, type DraftedRound, mostDrafts, settleRound } from "../../speculative/drafted-round.ts";
import { RowLadder } from "../../speculative/row-ladder.ts";
import type { DraftPlan, RoundController } from "./controller.ts";

/** What rounds are made with. */
export interface DssdRounds {
  readonly exits: ExitSet;
  readonly judge: DraftJudge;
  readonly controller: RoundController;
}

/**
 * Dynamic self-speculative decoding (Valade 2024): tokens leave at the first exit that is sure and are drafts; the
 * first one that no exit is sure of goes to the top and takes all drafts along, which verifies them in the same pass.
 * The text is the full model's own: a draft counts only where the full model, or the judge on its behalf, takes it; one
 * that ends the text is a draft like any other.
 */
export class DssdDecoder implements TokenDecoder {
  private readonly parts: DecoderParts;
  private readonly options: DssdRounds;
  private readonly ladder: RowLadder;
  private readonly counts = new DecodingCounts();

  constructor(parts: DecoderParts, options: DssdRounds) {
    this.parts = parts;
    this.options = options;
    const { executor, kvCache } = parts.session;
    this.ladder = new RowLadder(executor, kvCache, { exits: options.exits, needs: options.judge.needs });
  }

  get statistics(): DecodingStatistics {
    return this.counts.statistics("dssd");
  }

  first(promptIds: ArrayLike<number>, options: WorkOptions): Promise<DecodedToken> {
    return feedAndChoose(this.parts, promptIds, options, this.counts);
  }

  async next(limits: RoundLimits): Promise<readonly DecodedToken[]> {
    const { session, history } = this.parts;
    const round = this.options.controller.begin();
    const { plan } = round;
    const rebuilds = session.kvCache.needsRebuild(session.length + 1);
    if (plan === null || rebuilds || limits.tokens < 2) {
      const token = await feedAndChoose(this.parts, history.slice(-1), { signal: limits.signal }, this.counts);
      this.counts.plainRounds++;
      // A rebuild computes the whole sequence: its time says nothing of a token's.
      if (plan === null && !rebuilds) round.end({ tokens: 1, drafted: 0, accepted: 0 });
      return [token];
    }
    const start = session.length;
    try {
      const drafted = await this.draft(plan, limits);
      const { judge } = this.options;
      const tokens = settleRound(this.parts, drafted, { judge, counts: this.counts, ends: limits.ends });
      const accepted = tokens.filter(({ id }, i) => id === drafted.drafts[i]?.id).length;
      round.end({ tokens: tokens.length, drafted: drafted.drafts.length, accepted });
      return tokens;
    } catch (error) {
      this.ladder.reset();
      session.truncate(start);
      throw error;
    }
  }

  close(): void {}

  /** Drafts until no exit is sure or the limit is reached; then every row is at the top. */
  private async draft({ level, firstExit, draftLimit }: DraftPlan, limits: RoundLimits): Promise<DraftedRound> {
    const { session, history } = this.parts;
    const { exits, judge } = this.options;
    const { kvCache, length: start } = session;
    const limit = Math.min(draftLimit, mostDrafts(this.parts, limits));
    const thresholds = exits.levels[level].thresholds.map((threshold, i) => (i < firstExit ? null : threshold));
    const nobody = thresholds.map(() => null);
    const { signal } = limits;
    const seen = [...history];
    const fed = [history[history.length - 1]];
    const drafts: Draft[] = [];
    for (;;) {
      const total = start + fed.length;
      kvCache.reserve(total);
      // Drafts never lead into another rotary regime: there the sequence is computed anew.
      const mayDraft = drafts.length < limit && !kvCache.needsRebuild(total + 1);
      const token = { id: fed[fed.length - 1], position: total - 1 };
      const climb = { thresholds: mayDraft ? thresholds : nobody, askAtTop: "all", signal } as const;
      const reached = await this.ladder.climb(token, climb);
      if (reached.exit === null) return { fed, drafts, output: reached.output };
      const id = judge.propose(reached, drafts.length, seen);
      drafts.push({ id, blocks: exits.exits[reached.exit].blocks });
      if (limits.ends(id)) {
        const { output } = await this.ladder.catchUp({ askAtTop: "all", signal });
        return { fed, drafts, output };
      }
      seen.push(id);
      fed.push(id);
    }
  }
}
