/** What came of one way to draft, over the same texts as the others. */
export interface DraftCounts {
  /** Tokens generated. */
  readonly tokens: number;
  readonly drafted: number;
  /** Of these, what the full model took; the others are wasted. */
  readonly accepted: number;
}

/** What wasted drafts are counted against: all drafts, or the tokens generated. */
export const WASTE_RATES = ["ofDrafts", "ofTokens"] as const;
export type WasteRate = (typeof WASTE_RATES)[number];

/** Drafts that were not taken, over all drafts or over the tokens generated; null without any to count against. */
export function wasteOf({ tokens, drafted, accepted }: DraftCounts, rate: WasteRate): number | null {
  const all = rate === "ofDrafts" ? drafted : tokens;
  return all === 0 ? null : (drafted - accepted) / all;
}

/** Drafts taken over the tokens generated. */
export function acceptedPerToken({ tokens, accepted }: DraftCounts): number {
  return tokens === 0 ? 0 : accepted / tokens;
}

/** Drafts taken beside those of fixed drafting that wastes no more. */
export interface DraftComparison {
  /** The waste that is allowed: the compared drafter's own; null where it drafted nothing. */
  readonly waste: number | null;
  /** Index of the fixed drafter with most drafts taken whose waste is at most that; null: each wastes more. */
  readonly best: number | null;
  /** Drafts taken a token over those of `best`. */
  readonly ratio: number | null;
  /**
   * Drafts taken a token by the best mixture of two fixed drafters, or of one and plain decoding, at that waste; and
   * the ratio to it.
   */
  readonly mixedAccepted: number;
  readonly mixedRatio: number | null;
}

/**
 * Compares a drafter with a sweep of fixed ones at the same rate of wasted tokens, as DSSD's 1.66x over LayerSkip is
 * meant (arXiv 2407.21082). A sweep is a few points, none of which lies at that very rate. `best` is the strongest
 * single point that wastes no more. `mixedAccepted` interpolates: texts are shared out between two points so that
 * together they waste exactly as much, the most that anyone could take from the sweep; it is never below `best`, so its
 * ratio is the more cautious one.
 */
export function compareDrafts(
  drafter: DraftCounts,
  fixed: readonly DraftCounts[],
  rate: WasteRate = "ofDrafts",
): DraftComparison {
  const waste = wasteOf(drafter, rate);
  if (waste === null) return { waste, best: null, ratio: null, mixedAccepted: 0, mixedRatio: null };
  const own = acceptedPerToken(drafter);
  const points = fixed.map((counts) => pointOf(counts, waste, rate));
  const best = points.reduce<number | null>((found, { excess, accepted }, i) => {
    if (excess > ROUNDING) return found;
    return found === null || accepted > points[found].accepted ? i : found;
  }, null);
  const mixedAccepted = bestMixture([...points, pointOf({ tokens: 1, drafted: 0, accepted: 0 }, waste, rate)]);
  return {
    waste,
    best,
    ratio: best === null ? null : ratioOf(own, points[best].accepted),
    mixedAccepted,
    mixedRatio: ratioOf(own, mixedAccepted),
  };
}

/** Excess of equal rates that divisions round differently. */
const ROUNDING = 1e-12;

/**
 * A way to draft by token generated: drafts taken, and wasted ones beyond what the rate allows (negative: room that is
 * left).
 */
interface Point {
  readonly accepted: number;
  readonly excess: number;
}

function pointOf(counts: DraftCounts, waste: number, rate: WasteRate): Point {
  const { tokens, drafted, accepted } = counts;
  if (tokens === 0) return { accepted: 0, excess: 0 };
  const allowed = waste * (rate === "ofDrafts" ? drafted : tokens);
  return { accepted: accepted / tokens, excess: (drafted - accepted - allowed) / tokens };
}

/**
 * Most drafts taken with an excess of 0 in the mean: a linear programme with one constraint, so two points are enough.
 */
function bestMixture(points: readonly Point[]): number {
  let most = 0;
  for (const within of points) {
    if (within.excess > ROUNDING) continue;
    most = Math.max(most, within.accepted);
    for (const beyond of points) {
      if (beyond.excess <= ROUNDING) continue;
      const share = Math.max(0, -within.excess) / (beyond.excess - within.excess);
      most = Math.max(most, (1 - share) * within.accepted + share * beyond.accepted);
    }
  }
  return most;
}

function ratioOf(value: number, than: number): number | null {
  return than > 0 ? value / than : null;
}
