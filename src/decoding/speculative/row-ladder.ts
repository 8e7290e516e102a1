import type { AnyExecutor, KvCache, RowSpan } from "../../runtime/executor.ts";
import { acceptedId, type ExitSet } from "./exit-set.ts";
import { askHead } from "./head-answers.ts";
import { WaitingRows } from "./waiting-rows.ts";

/** A token that goes up the blocks. */
export interface ClimbingToken {
  readonly id: number;
  readonly position: number;
}

export interface ClimbOptions {
  /** One an exit; null: it is not asked. */
  readonly thresholds: readonly (number | null)[];
  /** Rows at the top that the output head is asked about: all that arrive, the last one, or none. */
  readonly logits: "all" | "last" | "none";
  readonly signal?: AbortSignal | undefined;
}

/** An exit answered: its token, and the head's logits, which the next climb overwrites. */
export interface ExitReached {
  /** Index of the exit. */
  readonly exit: number;
  readonly id: number;
  /** [ids of the head, and the tail] */
  readonly logits: Float32Array;
}

/** The top was reached: every row that waited is complete. */
export interface TopReached {
  readonly exit: null;
  /** Rows that reached the top, the highest position last. */
  readonly rows: number;
  /** [rows asked about, vocabSize]; the next climb overwrites it. */
  readonly logits: Float32Array;
}

/**
 * Runs the tokens of one sequence up the blocks, each as far as it has to go. Rows that left at an exit wait there with their hidden
 * state, and a later token that goes on pulls them along: before a token runs a block, every earlier position has keys and values in
 * it. So nothing is computed twice, and rows at the top are what a plain pass gives (papers.md 3.6, efficient form).
 */
export class RowLadder {
  private readonly executor: AnyExecutor;
  private readonly cache: KvCache;
  private readonly set: ExitSet;
  /** Blocks run at each rung: 0, the exits', all. */
  private readonly rungs: readonly number[];
  /** Rows that left at exit i and have gone no further; positions rise from the last exit down to the first. */
  private readonly waiting: readonly WaitingRows[];
  private headLogits: Float32Array = new Float32Array(0);
  private topLogits: Float32Array = new Float32Array(0);

  constructor(executor: AnyExecutor, cache: KvCache, set: ExitSet) {
    this.executor = executor;
    this.cache = cache;
    this.set = set;
    this.rungs = [0, ...set.exits.map(({ blocks }) => blocks), executor.spec.blocks.length];
    this.waiting = set.exits.map(() => new WaitingRows(executor.spec.hiddenSize));
  }

  /** Rows that have not reached the top. */
  get pending(): number {
    return this.waiting.reduce((sum, { count }) => sum + count, 0);
  }

  /**
   * Runs a token, the next position of the sequence, up to the first exit that is sure, or to the top.
   * After a failure (Interrupted where the signal stops it) call `reset` and truncate the cache.
   */
  async climb({ id, position }: ClimbingToken, options: ClimbOptions): Promise<ExitReached | TopReached> {
    const embedded = await this.executor.embed(Int32Array.of(id));
    return this.run({ hidden: embedded, count: 1, first: position, rung: 0 }, options);
  }

  /** Takes the rows that wait to the top. Throws where none waits. */
  async sweep(options: Pick<ClimbOptions, "logits" | "signal">): Promise<TopReached> {
    const lowest = this.waiting.findIndex(({ count }) => count > 0);
    if (lowest < 0) throw new Error("RowLadder.sweep: no row waits");
    const { rows, count, first } = this.waiting[lowest].take();
    const hidden = this.executor.write(rows, count);
    const thresholds = this.set.exits.map(() => null);
    const top = await this.run({ hidden, count, first, rung: lowest + 1 }, { thresholds, ...options });
    if (top.exit !== null) throw new Error("RowLadder.sweep: an exit answered that was not asked");
    return top;
  }

  /** Forgets the rows that wait. */
  reset(): void {
    for (const waiting of this.waiting) waiting.clear();
  }

  private async run(batch: Batch, options: ClimbOptions): Promise<ExitReached | TopReached> {
    const { executor } = this;
    const { thresholds } = options;
    const top = this.rungs.length - 1;
    try {
      for (;;) {
        const to = this.nextStop(batch.rung, thresholds);
        await this.runTo(batch, to, options);
        if (to === top) return { exit: null, rows: batch.count, logits: this.topLogits };
        const threshold = thresholds[to - 1];
        const reached = threshold === null ? null : await this.ask(batch, to - 1, threshold);
        if (reached) {
          this.waiting[to - 1].append(await executor.read(batch.hidden), batch.first);
          return reached;
        }
        await this.join(batch, this.waiting[to - 1]);
      }
    } finally {
      executor.release(batch.hidden);
    }
  }

  /** The next rung where an exit is asked or rows wait. */
  private nextStop(from: number, thresholds: readonly (number | null)[]): number {
    const top = this.rungs.length - 1;
    let to = from + 1;
    while (to < top && thresholds[to - 1] === null && this.waiting[to - 1].count === 0) to++;
    return to;
  }

  private async runTo(batch: Batch, to: number, { logits: asked, signal }: ClimbOptions): Promise<void> {
    const { count, first: position } = batch;
    const span: RowSpan = { cache: this.cache, position, count };
    const atTop = to === this.rungs.length - 1 && asked !== "none";
    const logits = atTop ? this.roomAtTop(asked === "all" ? 0 : count - 1, count) : undefined;
    const options = { signal, logits };
    const above = await this.executor.runBlocks(batch.hidden, this.rungs[batch.rung], this.rungs[to], [span], options);
    this.executor.release(batch.hidden);
    batch.hidden = above;
    batch.rung = to;
  }

  /** Where the logits of rows [from, count) go. */
  private roomAtTop(from: number, count: number): { rows: Int32Array; into: Float32Array } {
    const length = (count - from) * this.executor.spec.vocabSize;
    if (this.topLogits.length !== length) {
      const whole = new Float32Array(this.topLogits.buffer);
      this.topLogits = (whole.length >= length ? whole : new Float32Array(length)).subarray(0, length);
    }
    return { rows: Int32Array.from({ length: count - from }, (_, row) => from + row), into: this.topLogits };
  }

  /** What the exit makes of the batch's last row; null where it is not sure. */
  private async ask(batch: Batch, exit: number, threshold: number): Promise<ExitReached | null> {
    const question = { head: this.set.exits[exit].head, row: batch.count - 1, into: this.headLogits };
    const { answer, logits } = await askHead(this.executor, batch.hidden, question);
    this.headLogits = logits;
    const id = acceptedId(this.set, answer, threshold);
    return id === null ? null : { exit, id, logits };
  }

  /** Puts the rows that wait at the batch's rung before its own. */
  private async join(batch: Batch, waiting: WaitingRows): Promise<void> {
    if (waiting.count === 0) return;
    waiting.append(await this.executor.read(batch.hidden), batch.first);
    const { rows, count, first } = waiting.take();
    const joined = this.executor.write(rows, count);
    this.executor.release(batch.hidden);
    batch.hidden = joined;
    batch.count = count;
    batch.first = first;
  }
}

/** Rows under way together: consecutive positions from `first`, at a rung. */
interface Batch {
  hidden: Awaited<ReturnType<AnyExecutor["embed"]>>;
  count: number;
  first: number;
  rung: number;
}
