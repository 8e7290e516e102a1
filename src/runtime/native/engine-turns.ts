/**
 * Lets pieces of work on one engine run one after the other, in the order in which they came. `enter` and `leave`
 * rather than a function that takes the work: where nobody waits, which is at every token, a turn costs no promise and
 * no closure.
 */
export class EngineTurns {
  private readonly waiting: (() => void)[] = [];
  private taken = false;

  /** Takes the turn: at once (null), or when the promise resolves. Every turn taken must be left. */
  enter(): Promise<void> | null {
    if (this.taken) return new Promise((resolve) => this.waiting.push(resolve));
    this.taken = true;
    return null;
  }

  /** Hands the turn to whoever has waited longest. */
  leave(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.taken = false;
  }

  /** Does a piece of work in a turn of its own. */
  async take<T>(work: () => T | Promise<T>): Promise<T> {
    const turn = this.enter();
    if (turn) await turn;
    try {
      return await work();
    } finally {
      this.leave();
    }
  }
}
