import { z } from "zod";

const ms = z.number().nonnegative();

/** Measured milliseconds of the parts that drafting consists of. */
export const DraftCosts = z.strictObject({
  /** Positions in the cache before each pass. */
  position: z.number().int().nonnegative(),
  /** One token by plain decoding: every block, and the output head. */
  plainMs: ms,
  /**
   * Stage i leads from exit i - 1 (the first one from the embedding) to exit i, the last one to the top, with the
   * output head's answer for every row. By rising rows, from 1.
   */
  stages: z.array(z.array(z.strictObject({ rows: z.number().int().positive(), ms })).min(1)).min(2),
  /** By rising blocks: asking the head about one row. */
  exits: z.array(z.strictObject({ blocks: z.number().int().positive(), headMs: ms })).min(1),
});
export type DraftCosts = z.infer<typeof DraftCosts>;

/** What a drafter did. */
export interface DraftUse {
  /** Tokens after the first, and the rounds that gave them; plain ones among them asked no exit. */
  readonly tokens: number;
  readonly rounds: number;
  readonly plainRounds: number;
  readonly drafted: number;
  readonly accepted: number;
  /** Share of the drafts by exit; sums to 1 where there were any. */
  readonly exitShares: readonly number[];
  /** Exits that were asked at all. */
  readonly asked: readonly boolean[];
  /** Whether a round ends with a token that the exits were asked about in vain (else by its draft limit). */
  readonly endsUnsure: boolean;
}

/** A speed-up over plain decoding that follows from measured parts, and what it would be without one of the costs. */
export const SpeedPrediction = z.strictObject({
  ratio: z.number(),
  /** Shares of the time: blocks run to draft, exit heads, passes to the top, rounds without drafts. */
  shares: z.strictObject({ drafts: z.number(), heads: z.number(), top: z.number(), plain: z.number() }),
  /** The ratio if every draft had been right; if heads, drafting blocks or further rows of a pass cost nothing. */
  without: z.strictObject({ waste: z.number(), heads: z.number(), drafts: z.number(), rows: z.number() }),
  /** Which of these would gain most: what bounds the drafter. */
  bound: z.enum(["waste", "heads", "drafts", "rows"]),
});
export type SpeedPrediction = z.infer<typeof SpeedPrediction>;

/**
 * The speed-up of drafting over plain decoding. Every row of a round of d drafts runs every stage once: 1 + d rows in 1
 * + d q calls, q being the share of drafts that leave at this stage's exit or later; a call's cost is interpolated at
 * their mean rows. So it is exact for a fixed exit and length, and the cost of the mean round for others. Null where
 * nothing was generated.
 */
export function predictSpeed(costs: DraftCosts, use: DraftUse): SpeedPrediction | null {
  const drafting = use.rounds - use.plainRounds;
  if (use.tokens === 0 || use.rounds === 0) return null;
  const drafts = drafting === 0 ? 0 : use.drafted / drafting;
  const round = roundCost(costs, use, drafts);
  const oneRow = roundCost(withoutFurtherRows(costs), use, drafts);
  const plain = use.plainRounds * costs.plainMs;
  const timeOf = ({ drafts, heads, top }: RoundCost) => drafting * (drafts + heads + top) + plain;
  const ratio = (time: number, tokens = use.tokens) => (tokens * costs.plainMs) / time;
  const time = timeOf(round);
  const without = {
    waste: ratio(time, use.tokens + use.drafted - use.accepted),
    heads: ratio(timeOf({ ...round, heads: 0 })),
    drafts: ratio(timeOf({ ...round, drafts: 0 })),
    rows: ratio(timeOf(oneRow)),
  };
  const names = ["waste", "heads", "drafts", "rows"] as const;
  return {
    ratio: ratio(time),
    shares: {
      drafts: (drafting * round.drafts) / time,
      heads: (drafting * round.heads) / time,
      top: (drafting * round.top) / time,
      plain: plain / time,
    },
    without,
    bound: names.reduce((most, name) => (without[name] > without[most] ? name : most)),
  };
}

/** Milliseconds of one round: blocks of its drafts, heads, and the pass to the top. */
interface RoundCost {
  readonly drafts: number;
  readonly heads: number;
  readonly top: number;
}

function roundCost({ stages, exits }: DraftCosts, use: DraftUse, drafts: number): RoundCost {
  let [below, heads, top] = [0, 0, 0];
  for (const [i, stage] of stages.entries()) {
    const through = drafts * use.exitShares.slice(i).reduce((sum, share) => sum + share, 0);
    const call = stageMs(stage, (1 + drafts) / (1 + through));
    below += through * call;
    top += call;
    if (i < exits.length && use.asked[i]) heads += exits[i].headMs * (through + (use.endsUnsure ? 1 : 0));
  }
  return { drafts: below, heads, top };
}

function withoutFurtherRows(costs: DraftCosts): DraftCosts {
  return { ...costs, stages: costs.stages.map((stage) => stage.slice(0, 1)) };
}

/** Milliseconds of a stage for so many rows: linear between what was measured, and on with the last slope. */
export function stageMs(stage: DraftCosts["stages"][number], rows: number): number {
  if (stage.length === 1 || rows <= stage[0].rows) return stage[0].ms;
  const above = stage.findIndex((cost) => cost.rows >= rows);
  const upper = above < 0 ? stage.length - 1 : above;
  const [from, to] = [stage[upper - 1], stage[upper]];
  return from.ms + ((to.ms - from.ms) * (rows - from.rows)) / (to.rows - from.rows);
}
