import { ArmCosts } from "./arm-costs.ts";

/** Drafts of a round, at most: fewer than the positions that a sliding window's cache can take back. */
export const MOST_DRAFTS = 32;

/** What one round does: thresholds of a level and the most drafts, or plain decoding (`level` null). */
export interface RoundPlan {
  readonly level: number | null;
  readonly draftLimit: number;
}

/** What came of a round. */
export interface RoundResult {
  /** Tokens that it gave. */
  readonly tokens: number;
  readonly drafted: number;
  readonly accepted: number;
}

/** A round under way; one that failed, or is not typical, is never ended. */
export interface Round {
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
  readonly start: { readonly level: number; readonly draftLimit: number };
  /** Levels there are, by rising epsilon. */
  readonly levels: number;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
}

/** Plain rounds before the first drafts: what drafting is compared with. */
const WARM_UP_ROUNDS = 4;
/** Time lost against plain decoding, as a share of all, that trials may cost; and in plain tokens, so that there is a first one. */
const MOST_LOSS = 0.02;
const FREE_TOKENS = 4;
/** Gains that may be lost again, in plain tokens: what was gained long ago is no reason to go on with what has become slow. */
const KEPT_GAIN_TOKENS = 8;
/**
 * Plain tokens' time that a row of a drafting round is thought to take at most; what is beyond it is the machine's own doing (it stood still, or
 * others had it), which happens in plain rounds as well and is no loss of drafting's.
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
 * A controller that measures what a token costs with each plan and keeps to the cheapest. Neighbours of it (a level up or down, double or
 * half the drafts) are tried now and then, those first that its acceptance speaks for. The time lost against plain decoding is counted:
 * beyond 2 % of all, rounds are plain until it is less; so a text takes a few percent longer than plain decoding at the most.
 */
export function adaptiveController(options: AdaptiveOptions): RoundController {
  return new AdaptiveController(options);
}

class AdaptiveController implements RoundController {
  private readonly options: AdaptiveOptions;
  private readonly costs = new Map<string, ArmCosts>();
  private readonly plain = new ArmCosts();
  private best: { level: number; draftLimit: number };
  private trial: { plan: { level: number; draftLimit: number }; left: number } | null = null;
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
    const plainRound = { level: null, draftLimit: 0 };
    if (this.plain.rounds < WARM_UP_ROUNDS || this.sincePlain >= BETWEEN_PLAIN) return plainRound;
    const plainMs = this.plain.msPerToken;
    if (this.lost > MOST_LOSS * this.elapsed + FREE_TOKENS * plainMs) return plainRound;
    if (this.trial) return this.trial.plan;
    const costs = this.costsOf(this.best);
    if (costs.rounds < TRIAL_ROUNDS) return this.best;
    const pays = costs.msPerToken < plainMs;
    // Where nothing pays, a trial must be affordable; it is lost time most likely.
    const due = this.sinceTrial >= BETWEEN_TRIALS && (pays || this.lost <= MOST_LOSS * this.elapsed);
    if (due) return this.startTrial(pays);
    return pays ? this.best : plainRound;
  }

  private startTrial(pays: boolean): RoundPlan {
    const neighbours = this.neighbours();
    // The best plan itself is due again where it does not pay: the text may have changed.
    const candidates = pays && neighbours.length > 0 ? neighbours : [this.best, ...neighbours];
    const plan = candidates[this.trials++ % candidates.length];
    this.trial = { plan, left: TRIAL_ROUNDS };
    this.sinceTrial = 0;
    return plan;
  }

  /** Plans next to the best one, those first that its acceptance speaks for. */
  private neighbours(): { level: number; draftLimit: number }[] {
    const { level, draftLimit } = this.best;
    const { acceptance, fullShare } = this.costsOf(this.best);
    const found: { level: number; draftLimit: number }[] = [];
    const add = (wanted: boolean, plan: { level: number; draftLimit: number }) => {
      if (wanted && plan.level >= 0 && plan.level < this.options.levels) found.push(plan);
    };
    const poor = acceptance !== null && acceptance < POOR_ACCEPTANCE;
    add(poor, { level: level + 1, draftLimit });
    add(!poor && fullShare > 0.25 && draftLimit < MOST_DRAFTS, {
      level,
      draftLimit: Math.min(MOST_DRAFTS, 2 * draftLimit),
    });
    add(acceptance === null || acceptance > GOOD_ACCEPTANCE, { level: level - 1, draftLimit });
    add(draftLimit > 1, { level, draftLimit: Math.floor(draftLimit / 2) });
    add(!poor, { level: level + 1, draftLimit });
    return found;
  }

  private learn(plan: RoundPlan, ms: number, result: RoundResult): void {
    this.elapsed += ms;
    this.sinceTrial++;
    if (plan.level === null) {
      this.plain.add(ms, result, 0);
      this.sincePlain = 0;
      return;
    }
    this.sincePlain++;
    const drafting = { level: plan.level, draftLimit: plan.draftLimit };
    const costs = this.costsOf(drafting);
    costs.add(ms, result, plan.draftLimit);
    const plainMs = this.plain.msPerToken;
    const taken = Math.min(ms, SLOWEST_ROW * (result.drafted + 1) * plainMs);
    this.lost = Math.max(this.lost + taken - result.tokens * plainMs, -KEPT_GAIN_TOKENS * plainMs);
    if (this.trial && --this.trial.left === 0) this.trial = null;
    if (costs.rounds >= TRIAL_ROUNDS && costs.msPerToken < CLEARLY * this.costsOf(this.best).msPerToken) {
      this.best = drafting;
    }
  }

  private costsOf({ level, draftLimit }: { level: number; draftLimit: number }): ArmCosts {
    const key = `${level} ${draftLimit}`;
    const known = this.costs.get(key) ?? new ArmCosts();
    this.costs.set(key, known);
    return known;
  }
}
