/**
 * Arrays of [rows, width] numbers that are used again and again: garbage of megabytes a block would else wait for the
 * collector. What was taken holds the numbers of its last use.
 */
export class RowBuffers {
  private readonly maxRows: number;
  private readonly free = new Map<number, Float32Array[]>();

  /** maxRows: the most rows that are ever taken at once. */
  constructor(maxRows: number) {
    this.maxRows = maxRows;
  }

  take(rows: number, width: number): Float32Array {
    if (rows > this.maxRows) throw new RangeError(`rows: expected at most ${this.maxRows}, found ${rows}`);
    const whole = this.free.get(width)?.pop() ?? new Float32Array(this.maxRows * width);
    return whole.subarray(0, rows * width);
  }

  /** Gives an array back that was taken; null: there is nothing to give back. */
  release(taken: Float32Array | null): void {
    if (!taken) return;
    const whole = new Float32Array(taken.buffer);
    const width = whole.length / this.maxRows;
    const found = this.free.get(width);
    if (found) found.push(whole);
    else this.free.set(width, [whole]);
  }
}
