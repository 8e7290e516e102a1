import { moveRows } from "../../passes/run-rows.ts";
import type { AnyExecutor, RunBlocksOptions } from "../../runtime/executor.ts";
import { emptyAnswers } from "../../runtime/head-answers.ts";
import type { KvCache } from "../../runtime/kv-cache.ts";
import { acceptedId, type ExitSet } from "../exits/exit-set.ts";
import { type OutputAnswers, OutputRows, type WantedOfOutput } from "../output-rows.ts";
import { type Hidden, RowsAtExit } from "./rows-at-exit.ts";

/** A token that goes up the blocks. */
export interface ClimbingToken {
  readonly id: number;
  readonly position: number;
}

/** What is wanted of those who answer, besides the most likely token. */
export interface LadderNeeds {
  /** Logits of an exit that a token leaves at. */
  readonly exitLogits: boolean;
  readonly output: WantedOfOutput;
}

export interface ClimbOptions {
  /** One an exit; null: it is not asked. */
  readonly thresholds: readonly (number | null)[];
  /** Rows at the top that the output head is asked about: all that arrive, the last one, or none. */
  readonly askAtTop: "all" | "last" | "none";
  readonly signal?: AbortSignal | undefined;
}

/** An exit answered. */
export interface ExitReached {
  /** Index of the exit. */
  readonly exit: number;
  /** Its most likely token. */
  readonly id: number;
  /** [ids of the head, and the tail], which the next climb overwrites; null where they are not needed. */
  readonly logits: Float32Array | null;
}

/** The top was reached: every row that waited is complete. */
export interface TopReached {
  readonly exit: null;
  /** Rows that reached the top, the highest position last. */
  readonly rows: number;
  /** Of the rows asked about; the next climb overwrites it. */
  readonly output: OutputAnswers;
}

/**
 * Runs the tokens of one sequence up the blocks, each as far as it has to go. Rows that left at an exit wait there with
 * their hidden state, and a later token that goes on pulls them along: before a token runs a block, every earlier
 * position has keys and values in it. So nothing is computed twice, and rows at the top are what a plain pass gives
 * (DSSD, arXiv 2407.21082). The way from one exit that is asked to the next, its answer included, is one call of the
 * executor.
 */
export class RowLadder {
  private readonly executor: AnyExecutor;
  private readonly cache: KvCache;
  private readonly set: ExitSet;
  private readonly needs: LadderNeeds;
  /** Blocks run at each rung: 0, the exits', all. */
  private readonly rungs: readonly number[];
  /** Rows that left at exit i and have gone no further; positions rise from the last exit down to the first. */
  private readonly waiting: readonly RowsAtExit[];
  /** What the exit asked last says of one row. */
  private readonly said = emptyAnswers(1);
  private readonly output: OutputRows;
  private headLogits: Float32Array | undefined;

  constructor(executor: AnyExecutor, cache: KvCache, { exits, needs }: { exits: ExitSet; needs: LadderNeeds }) {
    this.executor = executor;
    this.cache = cache;
    this.set = exits;
    this.needs = needs;
    this.rungs = [0, ...exits.exits.map(({ blocks }) => blocks), executor.spec.blocks.length];
    this.waiting = exits.exits.map(() => new RowsAtExit(executor));
    this.output = new OutputRows(executor);
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
    const hidden = await this.executor.embed(Int32Array.of(id));
    return this.run({ hidden, count: 1, first: position, rung: 0 }, options);
  }

  /** Takes the rows that wait to the top. Throws where none waits. */
  async catchUp(options: Pick<ClimbOptions, "askAtTop" | "signal">): Promise<TopReached> {
    const lowest = this.waiting.findIndex(({ count }) => count > 0);
    if (lowest < 0) throw new Error("RowLadder.catchUp: no row waits");
    const thresholds = this.set.exits.map(() => null);
    const top = await this.run({ ...this.waiting[lowest].take(), rung: lowest + 1 }, { thresholds, ...options });
    if (top.exit !== null) throw new Error("RowLadder.catchUp: an exit answered that was not asked");
    return top;
  }

  /** Forgets the rows that wait. */
  reset(): void {
    for (const waiting of this.waiting) waiting.clear();
  }

  private async run(batch: Batch, options: ClimbOptions): Promise<ExitReached | TopReached> {
    const { thresholds } = options;
    const top = this.rungs.length - 1;
    try {
      for (;;) {
        const to = this.nextStop(batch.rung, thresholds);
        await this.runTo(batch, to, options);
        if (to === top) break;
        const exit = to - 1;
        const id = acceptedId(this.set, this.said, thresholds[exit]);
        if (id !== null) return await this.leave(batch, exit, id);
        this.join(batch, this.waiting[exit]);
      }
    } catch (error) {
      this.executor.release(batch.hidden);
      throw error;
    }
    this.executor.release(batch.hidden);
    if (options.askAtTop !== "none") this.output.check();
    return { exit: null, rows: batch.count, output: this.output };
  }

  /** The next rung where an exit is asked or rows wait. */
  private nextStop(from: number, thresholds: readonly (number | null)[]): number {
    const top = this.rungs.length - 1;
    let to = from + 1;
    while (to < top && thresholds[to - 1] === null && this.waiting[to - 1].count === 0) to++;
    return to;
  }

  private async runTo(batch: Batch, to: number, options: ClimbOptions): Promise<void> {
    const { cache, executor, rungs } = this;
    const spans = [{ cache, position: batch.first, count: batch.count }];
    const rows = { hidden: batch.hidden, depth: rungs[batch.rung], spans };
    await moveRows(executor, rows, rungs[to], { signal: options.signal, ...this.questions(batch, to, options) });
    batch.hidden = rows.hidden;
    batch.rung = to;
  }

  /** What is asked at a rung: the output head about the rows wanted, an exit about the last row. */
  private questions(
    { count }: Batch,
    to: number,
    { thresholds, askAtTop }: ClimbOptions,
  ): Pick<RunBlocksOptions, "logits" | "answers"> {
    if (to === this.rungs.length - 1) {
      return askAtTop === "none" ? {} : this.output.ask(askAtTop === "all" ? 0 : count - 1, count, this.needs.output);
    }
    if (thresholds[to - 1] === null) return {};
    return { answers: { head: this.set.exits[to - 1].head, rows: Int32Array.of(count - 1), into: this.said } };
  }

  /** The batch's last row leaves with an exit's answer: its rows wait there. */
  private async leave({ hidden, count, first }: Batch, exit: number, id: number): Promise<ExitReached> {
    if (this.needs.exitLogits) {
      const { head } = this.set.exits[exit];
      const options = { head, into: this.headLogits };
      this.headLogits = await this.executor.logits(hidden, Int32Array.of(count - 1), options);
    }
    this.waiting[exit].append({ hidden, count, first });
    return { exit, id, logits: this.headLogits ?? null };
  }

  /** Puts the rows that wait at the batch's rung before its own. */
  private join(batch: Batch, waiting: RowsAtExit): void {
    if (waiting.count === 0) return;
    waiting.append({ hidden: batch.hidden, count: batch.count, first: batch.first });
    Object.assign(batch, waiting.take());
  }
}

/** Rows under way together: consecutive positions from `first`, at a rung. */
interface Batch {
  hidden: Hidden;
  count: number;
  first: number;
  rung: number;
}
