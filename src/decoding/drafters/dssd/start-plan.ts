import { type DecoderSpec, linearsOf } from "../../../model/decoder-spec.ts";
import type { ExitSet, ExitThresholds } from "../../exits/exit-set.ts";
import type { DraftPlan } from "./controller.ts";

/** Draft limits that are weighed. */
const LIMITS = [1, 2, 4, 8] as const;
/**
 * What a further row of a pass costs beside the first, which reads the weights (docs/native.md: 8 rows take 2.5 times
 * one).
 */
const FURTHER_ROW = 0.18;
/** What asking an exit costs beside its weights, in plain tokens: its call, and the search through its answers. */
const ASKING = 0.02;

/** A plan, and the speed over plain decoding that is expected of it. */
export interface ExpectedPlan {
  readonly plan: DraftPlan;
  readonly ratio: number;
}

/**
 * The plan expected to be fastest, of one level or of all, by what the level's report says of text that the exits had
 * not seen, and by shares of the weights as times. A guess to start from: costs are measured while decoding. Null where
 * no report is known or no exit ever leaves.
 */
export function expectedPlan(
  exits: ExitSet,
  spec: DecoderSpec,
  { level: wanted, draftLimit }: { readonly level?: number | undefined; readonly draftLimit?: number | undefined } = {},
): ExpectedPlan | null {
  const costs = tokenShares(exits, spec);
  let best: ExpectedPlan | null = null;
  for (const [level, thresholds] of exits.levels.entries()) {
    if (wanted !== undefined && level !== wanted) continue;
    for (const firstExit of exits.exits.keys()) {
      const leaving = leavingFrom(thresholds, firstExit);
      if (!leaving) continue;
      for (const limit of draftLimit === undefined ? LIMITS : [draftLimit]) {
        const ratio = expectedRatio(leaving, costs, limit);
        if (!best || ratio > best.ratio) best = { plan: { level, firstExit, draftLimit: limit }, ratio };
      }
    }
  }
  return best;
}

/** Times of the parts of a token, in plain tokens. */
interface TokenShares {
  /** Up to each exit from the one before, and from the last one to the answer of the output head. */
  readonly stages: readonly number[];
  /** One exit's answer. */
  readonly asking: number;
}

function tokenShares({ exits, ids }: ExitSet, spec: DecoderSpec): TokenShares {
  const blocks = spec.blocks.map((block) =>
    linearsOf(block).reduce((sum, { linear }) => sum + linear.rows * linear.cols, 0),
  );
  const head = spec.vocabSize * spec.hiddenSize;
  const all = blocks.reduce((sum, weights) => sum + weights, head);
  const bounds = [0, ...exits.map(({ blocks: below }) => below), blocks.length];
  const stages = bounds.slice(1).map((to, i) => blocks.slice(bounds[i], to).reduce((sum, n) => sum + n, 0) / all);
  stages[stages.length - 1] += head / all;
  return { stages, asking: ASKING + ((ids?.length ?? spec.vocabSize) * spec.hiddenSize) / all };
}

/** One exit of a cascade: whether it is asked, and shares of all tokens that leave there, and leave there rightly. */
interface Leaving {
  readonly asked: boolean;
  readonly share: number;
  readonly right: number;
}

/** Those who left at exits that are not asked leave at the first one that is. */
function leavingFrom({ thresholds, report }: ExitThresholds, firstExit: number): Leaving[] | null {
  let [share, right] = [0, 0];
  const leaving = thresholds.map((threshold, i): Leaving => {
    const { coverage, agreement } = report?.exits[i] ?? { coverage: 0, agreement: null };
    share += coverage;
    right += coverage * (agreement ?? 0);
    if (i < firstExit || threshold === null) return { asked: false, share: 0, right: 0 };
    const here = { asked: true, share, right };
    [share, right] = [0, 0];
    return here;
  });
  return leaving.some((exit) => exit.share > 0) ? leaving : null;
}

/**
 * Tokens a round over its time: it drafts until a token does not leave, or to the limit; then all rows go to the top.
 */
function expectedRatio(leaving: readonly Leaving[], { stages, asking }: TokenShares, limit: number): number {
  const share = leaving.reduce((sum, exit) => sum + exit.share, 0);
  const right = leaving.reduce((sum, exit) => sum + exit.right, 0);
  const drafts = powers(share, limit);
  const asked = leaving.map((exit) => (exit.asked ? asking : 0));
  const unsure = 1 - share ** limit;
  let time = unsure * asked.reduce((sum, cost) => sum + cost, 0);
  let below = 0;
  let waiting = 0;
  for (const [i, stage] of stages.entries()) {
    time += stage * (1 + FURTHER_ROW * waiting);
    if (i === leaving.length) break;
    below += stage + asked[i];
    const here = (drafts * leaving[i].share) / share;
    time += here * below;
    waiting += here;
  }
  return (1 + powers(right, limit)) / time;
}

/** x + x^2 + … to the power n. */
function powers(x: number, n: number): number {
  let sum = 0;
  for (let i = 1; i <= n; i++) sum += x ** i;
  return sum;
}
