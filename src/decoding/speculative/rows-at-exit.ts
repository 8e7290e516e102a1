import type { AnyExecutor } from "../../runtime/executor.ts";

/** A hidden state of the ladder's executor. */
export type Hidden = Awaited<ReturnType<AnyExecutor["embed"]>>;

/** Rows of consecutive positions in one hidden state; whoever holds them releases it. */
export interface HeldRows {
  readonly hidden: Hidden;
  readonly count: number;
  /** Position of the first. */
  readonly first: number;
}

/** Hidden states of consecutive positions that stopped at the same exit; they stay where the executor has them. */
export class RowsAtExit {
  private readonly executor: AnyExecutor;
  private readonly parts: HeldRows[] = [];

  constructor(executor: AnyExecutor) {
    this.executor = executor;
  }

  get count(): number {
    return this.parts.reduce((sum, { count }) => sum + count, 0);
  }

  /** Takes rows over. Throws where they do not follow the last ones held. */
  append(rows: HeldRows): void {
    const last = this.parts.at(-1);
    if (last && rows.first !== last.first + last.count) {
      throw new Error(`rows that wait: expected position ${last.first + last.count}, found ${rows.first}`);
    }
    this.parts.push(rows);
  }

  /** Hands all rows over as one state, and holds none. Throws where none waits. */
  take(): HeldRows {
    const [first] = this.parts;
    if (!first) throw new Error("rows that wait: none does");
    if (this.parts.length === 1) return this.parts.splice(0)[0];
    const whole = { hidden: this.executor.stack(this.parts.map(({ hidden }) => hidden)), count: this.count };
    this.clear();
    return { ...whole, first: first.first };
  }

  /** Releases all rows. */
  clear(): void {
    for (const { hidden } of this.parts.splice(0)) this.executor.release(hidden);
  }
}
