import type { DescentState } from "../calibration/statistics.ts";
import { LOGIT_BYTES } from "../evaluation/logit-rows.ts";
import type { RowGroup } from "../passes/rows.ts";
import { type MovingRows, moveRows, runRows } from "../passes/run-rows.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import { compareOutputs } from "../scoring/kl/compare.ts";

/** How far the whole model's output on some sequences is from the model's own when its states at a depth are others. */
export class OutputDivergence {
  /** Of the uncut model. */
  private readonly executor: AnyExecutor;
  private readonly signal: AbortSignal | undefined;
  /** The model's own states after the last block, by group. */
  private readonly last: unknown[] = [];

  constructor(executor: AnyExecutor, signal: AbortSignal | undefined) {
    this.executor = executor;
    this.signal = signal;
  }

  /** Runs the model itself on the sequences' groups. */
  async open(groups: readonly RowGroup[]): Promise<void> {
    for (const group of groups) this.last.push(await runRows(this.executor, group, { signal: this.signal }));
  }

  /**
   * KL(model || model with these states at the depth), mean over all rows in nats, for each of some; all that follows
   * is the uncut model's. They go block by block together, so that each block is read once.
   */
  async of(depth: number, others: readonly (readonly DescentState[])[]): Promise<number[]> {
    const { executor, signal } = this;
    const sums = others.map(() => 0);
    let total = 0;
    for (const [group, hidden] of this.last.entries()) {
      const moving: MovingRows[] = [];
      try {
        for (const states of others) {
          const { hidden: data, spans, ids } = states[group];
          moving.push({ hidden: executor.write(data, ids.length), depth, spans });
        }
        for (let block = depth; block < executor.spec.blocks.length; block++)
          for (const rows of moving) await moveRows(executor, rows, block + 1, { signal });
        const rows = others[0][group].ids.length;
        const outputs = moving.map((one) => ({ executor, hidden: one.hidden }));
        const options = { logitBytes: LOGIT_BYTES, signal };
        const means = await compareOutputs({ executor, hidden }, outputs, rows, options);
        for (const [i, mean] of means.entries()) sums[i] += mean * rows;
        total += rows;
      } finally {
        for (const { hidden: own } of moving) executor.release(own);
      }
    }
    return sums.map((sum) => sum / total);
  }

  close(): void {
    for (const hidden of this.last) this.executor.release(hidden);
  }
}
