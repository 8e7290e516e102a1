import { MOST_DRAFTS } from "../../speculative/drafted-round.ts";
import { PlanCosts, type RoundResult } from "./plan-costs.ts";

/** How a round drafts: with the thresholds of a level, by the exits from `firstExit` on, so many drafts at most. */
export interface DraftPlan {
  readonly level: number;
  /** Index of the first exit that is asked: asking one costs time, also where it is hardly ever sure. */
  readonly firstExit: number;
  readonly draftLimit: number;
}

/** What one round does: drafts, or plain decoding (null). */
export type RoundPlan = DraftPlan | null;

/** A round under way; one that failed, or is not typical, is never ended. */
interface Round {
  readonly plan: RoundPlan;
  end(result: RoundResult): void;
}

/** Says how each round drafts. */
export interface RoundController {
  begin(): Round;
}

/** Always the same plan. */
export function fixedController(plan: RoundPlan): RoundController {
  return { begin: () => ({ plan, end: () => {} }) };
}

export interface AdaptiveOptions {
  readonly start: DraftPlan;
  /** Levels by rising epsilon, and of each one threshold an exit; null: it is not asked. */
  readonly thresholds: readonly (readonly (number | null)[])[];
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
}

/** Plain rounds before the first drafts: what drafting is compared with. */
const WARM_UP_ROUNDS = 4;
/**
 * Time lost against plain decoding, as a share of all, that trials may cost; and in plain tokens, so that there is a
 * first one.
 */
const MOST_LOSS = 0.02;
const FREE_TOKENS = 2;
/**
 * Gains that may be lost again, in plain tokens: what was gained long ago is no reason to go on with what has become
 * slow.
 */
const KEPT_GAIN_TOKENS = 8;
/**
 * Plain tokens' time that a row of a drafting round is thought to take at most; what is beyond it is the machine's own
 * doing (it stood still, or others had it), which happens in plain rounds as well and is no loss of drafting's.
 */
const SLOWEST_ROW = 2;
/** Rounds of one trial, and rounds of the best plan between two. */
const TRIAL_ROUNDS = 4;
const BETWEEN_TRIALS = 24;
/** Drafting rounds after which one plain round measures anew what plain costs. */
const BETWEEN_PLAIN = 48;
/** A plan takes the place of another only where it is this much cheaper. */
const CLEARLY = 0.97;
/** Below: a stricter level is tried next; above the second: a looser one. */
const POOR_ACCEPTANCE = 0.7;
const GOOD_ACCEPTANCE = 0.85;

/**
 * A controller that measures what a token costs with each plan and keeps to the cheapest. Neighbours of it (a level up
 * or down, an exit more or less, double or half the drafts) are tried now and then, those first that its acceptance
 * speaks for. The time lost against plain decoding is counted: beyond 2 % of all, rounds are plain until it is less; so
 * a text takes a few percent longer than plain decoding at the most.
 */
export function adaptiveController(options: AdaptiveOptions): RoundController {
  return new AdaptiveController(options);
}

class AdaptiveController implements RoundController {
  private readonly options: AdaptiveOptions;
  private readonly costs = new Map<string, PlanCosts>();
  private readonly plain = new PlanCosts();
  private best: DraftPlan;
  private trial: { readonly plan: DraftPlan; left: number } | null = null;
  /** Milliseconds measured in all, and of these lost against plain decoding; a gain is negative. */
  private elapsed = 0;
  private lost = 0;
  private sinceTrial = 0;
  private sincePlain = 0;
  private trials = 0;

  constructor(options: AdaptiveOptions) {
    this.options = options;
    this.best = options.start;
  }

  begin(): Round {
    const plan = this.choose();
    const { now } = this.options;
    const started = now();
    return { plan, end: (result) => this.learn(plan, now() - started, result) };
  }

  private choose(): RoundPlan {
    if (this.plain.rounds < WARM_UP_ROUNDS || this.sincePlain >= BETWEEN_PLAIN) return null;
    const plainMs = this.plain.msPerToken;
    if (this.lost > MOST_LOSS * this.elapsed + FREE_TOKENS * plainMs) return null;
    if (this.trial) return this.trial.plan;
    const costs = this.costsOf(this.best);
    if (costs.rounds < TRIAL_ROUNDS) return this.best;
    const pays = costs.msPerToken < plainMs;
    // Where nothing pays, a trial must be affordable; it is lost time most likely.
    const due = this.sinceTrial >= BETWEEN_TRIALS && (pays || this.lost <= MOST_LOSS * this.elapsed);
    if (due) return this.startTrial(pays);
    return pays ? this.best : null;
  }

  private startTrial(pays: boolean): DraftPlan {
    const neighbours = this.neighbours();
    // The best plan itself is due again where it does not pay: the text may have changed.
    const candidates = pays && neighbours.length > 0 ? neighbours : [this.best, ...neighbours];
    const plan = candidates[this.trials++ % candidates.length];
    this.trial = { plan, left: TRIAL_ROUNDS };
    this.sinceTrial = 0;
    return plan;
  }

  /** Plans next to the best one, those first that its acceptance speaks for. */
  private neighbours(): DraftPlan[] {
    const { best } = this;
    const { level, firstExit, draftLimit } = best;
    const { acceptance, fullShare } = this.costsOf(best);
    const poor = acceptance !== null && acceptance < POOR_ACCEPTANCE;
    const good = acceptance === null || acceptance > GOOD_ACCEPTANCE;
    const longer = !poor && fullShare > 0.25 && draftLimit < MOST_DRAFTS;
    const wanted: (DraftPlan | false)[] = [
      poor && { ...best, level: level + 1 },
      longer && { ...best, draftLimit: Math.min(MOST_DRAFTS, 2 * draftLimit) },
      good && { ...best, level: level - 1 },
      { ...best, firstExit: firstExit + 1 },
      draftLimit > 1 && { ...best, draftLimit: Math.floor(draftLimit / 2) },
      !poor && { ...best, level: level + 1 },
      { ...best, firstExit: firstExit - 1 },
    ];
    return wanted.filter((plan) => plan !== false).filter((plan) => this.drafts(plan));
  }

  /** Whether a plan is one, and asks any exit. */
  private drafts({ level, firstExit }: DraftPlan): boolean {
    if (firstExit < 0 || level < 0 || level >= this.options.thresholds.length) return false;
    return this.options.thresholds[level].slice(firstExit).some((threshold) => threshold !== null);
  }

  private learn(plan: RoundPlan, ms: number, result: RoundResult): void {
    this.elapsed += ms;
    this.sinceTrial++;
    if (plan === null) {
      this.plain.add(ms, result, 0);
      this.sincePlain = 0;
      return;
    }
    this.sincePlain++;
    const costs = this.costsOf(plan);
    costs.add(ms, result, plan.draftLimit);
    const plainMs = this.plain.msPerToken;
    const taken = Math.min(ms, SLOWEST_ROW * (result.drafted + 1) * plainMs);
    this.lost = Math.max(this.lost + taken - result.tokens * plainMs, -KEPT_GAIN_TOKENS * plainMs);
    if (this.trial && --this.trial.left === 0) this.trial = null;
    if (costs.rounds >= TRIAL_ROUNDS && costs.msPerToken < CLEARLY * this.costsOf(this.best).msPerToken) {
      this.best = plan;
    }
  }

  private costsOf({ level, firstExit, draftLimit }: DraftPlan): PlanCosts {
    const key = `${level} ${firstExit} ${draftLimit}`;
    const known = this.costs.get(key) ?? new PlanCosts();
    this.costs.set(key, known);
    return known;
  }
}
