/** Hidden states of consecutive positions that stopped at the same exit. */
export class WaitingRows {
  private readonly hiddenSize: number;
  /** Room for more than are held. */
  private data = new Float32Array(0);
  private held = 0;
  private firstPosition = 0;

  constructor(hiddenSize: number) {
    this.hiddenSize = hiddenSize;
  }

  get count(): number {
    return this.held;
  }

  /** Adds rows, [n, hiddenSize], whose first has this position. Throws where it does not follow the last one held. */
  append(rows: Float32Array, position: number): void {
    if (this.held === 0) this.firstPosition = position;
    else if (position !== this.firstPosition + this.held) {
      throw new Error(`rows that wait: expected position ${this.firstPosition + this.held}, found ${position}`);
    }
    const used = this.held * this.hiddenSize;
    if (used + rows.length > this.data.length) {
      const grown = new Float32Array(2 * (used + rows.length));
      grown.set(this.data.subarray(0, used));
      this.data = grown;
    }
    this.data.set(rows, used);
    this.held += rows.length / this.hiddenSize;
  }

  /** Gives all rows out and holds none; they are overwritten by what is added next. */
  take(): { readonly rows: Float32Array; readonly count: number; readonly first: number } {
    const count = this.held;
    this.held = 0;
    return { rows: this.data.subarray(0, count * this.hiddenSize), count, first: this.firstPosition };
  }

  clear(): void {
    this.held = 0;
  }
}
