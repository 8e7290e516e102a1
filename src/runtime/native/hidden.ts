/** Released arrays kept for the next pass, at most: a few passes of a prompt's chunk. */
const KEPT_BYTES = 4 * 1024 * 1024;

/** A hidden state of the native executors; those of one model may be passed from one executor to another. */
export class NativeHidden {
  readonly rows: number;
  /** [rows, hiddenSize] */
  readonly data: Float32Array;
  /** Where it goes when it is released. */
  readonly pool: HiddenPool;
  /** Given out and not released yet. */
  inUse = true;

  constructor(pool: HiddenPool, rows: number, data: Float32Array) {
    this.pool = pool;
    this.rows = rows;
    this.data = data;
  }
}

/** Hidden states by their length: a token loop gets the arrays again that it has released, and allocates none. */
export class HiddenPool {
  /** Numbers of a row. */
  private readonly width: number;
  private readonly free = new Map<number, NativeHidden[]>();
  private freeBytes = 0;
  private live = 0;

  constructor(width: number) {
    this.width = width;
  }

  /** A state whose numbers are of no meaning yet. */
  take(rows: number): NativeHidden {
    this.live++;
    const kept = this.free.get(rows)?.pop();
    if (!kept) return new NativeHidden(this, rows, new Float32Array(rows * this.width));
    this.freeBytes -= kept.data.byteLength;
    kept.inUse = true;
    return kept;
  }

  /** The numbers of a state, also of another executor's; throws where it was released or is of another width. */
  use(hidden: NativeHidden): Float32Array {
    if (!hidden.inUse) throw new Error("hidden state: it was released already");
    if (hidden.pool.width !== this.width) {
      throw new Error(`hidden state: expected ${this.width} numbers a row, found ${hidden.pool.width}`);
    }
    return hidden.data;
  }

  /** A state of these numbers, [rows, width]. */
  write(data: Float32Array, rows: number): NativeHidden {
    if (data.length !== rows * this.width) {
      throw new Error(`write: expected ${rows} rows of ${this.width} numbers, found ${data.length}`);
    }
    const hidden = this.take(rows);
    hidden.data.set(data);
    return hidden;
  }

  /** A copy of rows [from, to). */
  slice(hidden: NativeHidden, from: number, to: number): NativeHidden {
    const data = this.use(hidden);
    if (from < 0 || to < from || to > hidden.rows) throw new Error(`slice: rows [${from}, ${to}) of ${hidden.rows}`);
    const part = this.take(to - from);
    part.data.set(data.subarray(from * this.width, to * this.width));
    return part;
  }

  /** A copy of all rows of the parts, in their order. */
  stack(parts: readonly NativeHidden[]): NativeHidden {
    const numbers = parts.map((part) => this.use(part));
    const whole = this.take(parts.reduce((sum, { rows }) => sum + rows, 0));
    let at = 0;
    for (const part of numbers) {
      whole.data.set(part, at);
      at += part.length;
    }
    return whole;
  }

  release(hidden: NativeHidden): void {
    this.use(hidden);
    hidden.pool.takeBack(hidden);
  }

  /** States given out and not released. */
  get liveCount(): number {
    return this.live;
  }

  private takeBack(hidden: NativeHidden): void {
    hidden.inUse = false;
    this.live--;
    if (this.freeBytes + hidden.data.byteLength > KEPT_BYTES) return;
    this.freeBytes += hidden.data.byteLength;
    const kept = this.free.get(hidden.rows);
    if (kept) kept.push(hidden);
    else this.free.set(hidden.rows, [hidden]);
  }
}

/** The numbers of so many rows. */
export function allRows(rows: number): Int32Array {
  return Int32Array.from({ length: rows }, (_, row) => row);
}
