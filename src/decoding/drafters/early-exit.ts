import { z } from "zod";
import type { WorkOptions } from "../../progress.ts";
import { createSpread, levelFor } from "../exits/exit-set.ts";
import { chooseAfter, wantedBy } from "../output-rows.ts";
import type { Session } from "../session.ts";
import {
  type DecodedToken,
  type DecoderParts,
  DecodingCounts,
  type DecodingStatistics,
  feedAndChoose,
  type RoundLimits,
  type TokenDecoder,
} from "../speculative/decoder.ts";
import { type ClimbingToken, type ExitReached, RowLadder, type TopReached } from "../speculative/row-ladder.ts";
import { defineDrafter } from "./drafter.ts";
import {
  checkedLevel,
  EPSILON_ASKED,
  EXITS,
  type ExitLevel,
  type ExitOptions,
  exitsOf,
  highestEpsilon,
} from "./exits.ts";

/** Rows that may wait, whatever the exits say: a pass over them stays a small one. Nothing but time depends on it. */
const MOST_WAITING_ROWS = 32;

export interface EarlyExitOptions extends ExitOptions {
  /** Exits' answers are the text: faster, and close to plain decoding's. */
  readonly kind: "early-exit";
}

/** Agreement wanted where nothing is said: exits' answers are the text. */
const EPSILON = 0.9;

/** Early exits without verification. */
export const EARLY_EXIT = defineDrafter({
  kind: "early-exit",
  what: "exits answer, faster, slightly other text",
  lossless: false,
  unasked: false,
  needs: EXITS,
  options: z.strictObject({ epsilon: EPSILON_ASKED }),
  reports: ["sharedPasses"],
  bench: null,
  async choose(model, { epsilon }): Promise<EarlyExitOptions> {
    const exits = await exitsOf(model);
    if (epsilon !== undefined) levelFor(exits, epsilon);
    return { kind: "early-exit", exits, epsilon: epsilon ?? Math.min(EPSILON, highestEpsilon(exits)) };
  },
  create: (parts, options) => new EarlyExitDecoder(parts, checkedLevel(parts.session, options)),
  describe: ({ kind, epsilon }) => ({ kind, epsilon }),
});

/**
 * Takes each token from the first exit that is sure, else from the output head; the text may differ from plain
 * decoding's. Where the sampler draws or penalises, it chooses by the logits of whoever answers.
 *
 * Keys and values: a token that left early has none in the blocks above. It waits with its hidden state and is caught
 * up, together with the others that wait, in the one pass in which a later token needs a deeper block; so every token
 * attends to what full depth gives of those before it, and a text depends on thresholds only. Where the length of a
 * sequence changes its rotary regime (longrope), that token is computed through every block.
 */
class EarlyExitDecoder implements TokenDecoder {
  private readonly parts: DecoderParts;
  private readonly options: ExitLevel;
  private readonly ladder: RowLadder;
  private readonly spread: ReturnType<typeof createSpread>;
  private readonly counts = new DecodingCounts();
  /** Ids that are run at least in part, and not the session's yet. */
  private running: number[] = [];

  constructor(parts: DecoderParts, options: ExitLevel) {
    const { executor, kvCache } = parts.session;
    const { sampler } = parts;
    this.parts = parts;
    this.options = options;
    const needs = { exitLogits: !sampler.greedy, output: wantedBy(sampler) };
    this.ladder = new RowLadder(executor, kvCache, { exits: options.exits, needs });
    this.spread = createSpread(options.exits.ids, executor.spec.vocabSize);
  }

  get statistics(): DecodingStatistics {
    return this.counts.statistics("early-exit");
  }

  first(promptIds: ArrayLike<number>, options: WorkOptions): Promise<DecodedToken> {
    return feedAndChoose(this.parts, promptIds, options, this.counts);
  }

  async next({ signal }: RoundLimits): Promise<readonly DecodedToken[]> {
    const { session, history } = this.parts;
    const id = history[history.length - 1];
    const position = session.length + this.running.length;
    if (session.kvCache.needsRebuild(position + 1)) {
      this.close();
      return [await feedAndChoose(this.parts, [id], { signal }, this.counts)];
    }
    try {
      session.kvCache.reserve(position + 1);
      return [await this.climb({ id, position }, signal)];
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    const { session } = this.parts;
    this.ladder.reset();
    session.adopt(this.running, completePositions(session, session.length + this.running.length));
    this.running = [];
  }

  private async climb(token: ClimbingToken, signal: AbortSignal | undefined): Promise<DecodedToken> {
    const { exits, level } = this.options;
    const { spec } = this.parts.session.executor;
    const { thresholds } = exits.levels[level];
    const reached = await this.ladder.climb(token, { thresholds, askAtTop: "last", signal });
    this.running.push(token.id);
    const blocks = reached.exit === null ? spec.blocks.length : exits.exits[reached.exit].blocks;
    const decoded = { id: this.choose(reached), blocks };
    if (reached.exit === null && reached.rows > 1) this.counts.sharedPasses++;
    if (this.ladder.pending >= MOST_WAITING_ROWS) {
      await this.ladder.catchUp({ askAtTop: "none", signal });
      this.counts.sharedPasses++;
    }
    this.parts.history.push(decoded.id);
    this.counts.add(decoded);
    return decoded;
  }

  private choose(reached: ExitReached | TopReached): number {
    const { sampler, history } = this.parts;
    if (reached.exit === null) return chooseAfter(reached.output, 0, sampler, history);
    // Without its logits the exit's most likely token is what the sampler takes.
    return reached.logits ? sampler.next(this.spread(reached.logits), history) : reached.id;
  }
}

/**
 * Positions that every block holds, `atMost` at most: blocks that ran fewer rows, or a pass that failed, hold others.
 */
function completePositions({ executor, kvCache }: Session, atMost: number): number {
  return executor.spec.blocks.reduce(
    (least, { attention }, block) => (attention ? Math.min(least, kvCache.length(block)) : least),
    atMost,
  );
}
