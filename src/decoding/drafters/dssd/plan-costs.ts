/** What came of a round. */
export interface RoundResult {
  /** Tokens that it gave. */
  readonly tokens: number;
  readonly drafted: number;
  readonly accepted: number;
}

/** What is left of a round's weight after the next one: some twenty rounds count. */
const REMEMBERED = 0.95;
/**
 * A row of one round (a draft, or the token after them) counts as this many times the mean at most: a machine that
 * stood still says nothing of a plan. By rows, not by tokens given: a round whose drafts were all refused has cost what
 * it cost.
 */
const MOST_SURPRISE = 2;

/** What rounds of one plan cost and gave, the last ones counting most. */
export class PlanCosts {
  rounds = 0;
  private ms = 0;
  private rows = 0;
  private tokens = 0;
  private drafted = 0;
  private accepted = 0;
  private weight = 0;
  private full = 0;

  add(ms: number, { tokens, drafted, accepted }: RoundResult, draftLimit: number): void {
    const rows = drafted + 1;
    const counted = this.rounds === 0 ? ms : Math.min(ms, (MOST_SURPRISE * rows * this.ms) / this.rows);
    this.ms = REMEMBERED * this.ms + counted;
    this.rows = REMEMBERED * this.rows + rows;
    this.tokens = REMEMBERED * this.tokens + tokens;
    this.drafted = REMEMBERED * this.drafted + drafted;
    this.accepted = REMEMBERED * this.accepted + accepted;
    this.weight = REMEMBERED * this.weight + 1;
    this.full = REMEMBERED * this.full + (drafted > 0 && drafted >= draftLimit ? 1 : 0);
    this.rounds++;
  }

  /** Infinity before the first round. */
  get msPerToken(): number {
    return this.tokens === 0 ? Number.POSITIVE_INFINITY : this.ms / this.tokens;
  }

  /** Share of the drafts that were taken; null where there were none. */
  get acceptance(): number | null {
    return this.drafted === 0 ? null : this.accepted / this.drafted;
  }

  /** Share of the rounds that drafted as much as they might. */
  get fullShare(): number {
    return this.weight === 0 ? 0 : this.full / this.weight;
  }
}
