import { UserError } from "../../errors.ts";
import type { WeightSource } from "../../model/weight-source.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import { type BelowOptions, statesBelow } from "./below.ts";
import { type FrozenBlock, loadFrozenBlock } from "./block/frozen-block.ts";
import type { BlockAdditions } from "./block/low-rank.ts";
import type { RowBuffers } from "./block/row-buffers.ts";
import type { Example } from "./examples.ts";
import type { HeadLoss } from "./head-loss.ts";
import { targetsOf } from "./held-out.ts";
import { type LearnedPart, slopeNorm, type UpdateSettings, updateParts } from "./optimizer.ts";
import { additionsOf } from "./parameters.ts";
import { momentsOf, type TuningState } from "./tuning-state.ts";
import type { Window } from "./window-order.ts";
import { runWindow, type WindowBlocks } from "./window-passes.ts";

/** What a window is tuned with. */
export interface WindowTunerOptions {
  readonly source: WeightSource;
  readonly executor: AnyExecutor;
  readonly head: HeadLoss;
  readonly state: TuningState;
  /** Blocks that are learned; the loss is after block `exit` - 1, whose blocks above the window run as they are. */
  readonly window: Window;
  readonly exit: number;
  readonly below: BelowOptions;
  readonly recompute: boolean;
  /** Of as many rows as the longest example has; those of all windows in turn. */
  readonly buffers: RowBuffers;
}

/** An example, and its number among all. */
export interface DrawnExample {
  readonly example: Example;
  readonly number: number;
}

/** Tunes the additions of one window: weights of its blocks in memory, and the activations of one sequence. */
export class WindowTuner {
  private readonly options: WindowTunerOptions;
  private readonly blocks: WindowBlocks;
  private readonly learned: readonly LearnedPart[];

  private constructor(options: WindowTunerOptions, frozen: readonly FrozenBlock[]) {
    const { state, window, source, exit } = options;
    const additions = additionsOf(state.parts, source.spec.blocks.length, window);
    this.options = options;
    this.blocks = { spec: source.spec, blocks: frozen, additions: additions.slice(window.from, exit) };
    this.learned = learnedOf(state, additions);
  }

  /** Reads the window's blocks, and those above it up to the loss. */
  static async open(options: WindowTunerOptions): Promise<WindowTuner> {
    const frozen: FrozenBlock[] = [];
    for (let block = options.window.from; block < options.exit; block++) {
      frozen.push(await loadFrozenBlock(options.source, block));
    }
    return new WindowTuner(options, frozen);
  }

  /**
   * One update from a batch: the mean loss over its learned ids, in nats. Throws UserError TUNING_NOT_FINITE, and has
   * changed nothing then.
   */
  async update(batch: readonly DrawnExample[], settings: UpdateSettings & { readonly label: string }): Promise<number> {
    const targets = batch.map(({ example }) => targetsOf(example));
    const count = targets.reduce((sum, one) => sum + one.filter((id) => id >= 0).length, 0);
    let loss = 0;
    for (const [i, { example, number }] of batch.entries()) {
      loss += (await this.passBoth(example.ids, number, { targets: targets[i], weight: 1 / count })) / count;
      if (!Number.isFinite(loss)) throw notFinite(settings.label, i, loss);
    }
    const norm = slopeNorm(this.learned);
    if (!Number.isFinite(norm)) throw notFinite(settings.label, null, norm);
    updateParts(this.learned, norm, settings);
    return loss;
  }

  /** The summed loss of a sequence; its slopes are added to those of the learned parts. */
  private async passBoth(
    ids: Int32Array,
    number: number,
    { targets, weight }: { readonly targets: Int32Array; readonly weight: number },
  ): Promise<number> {
    const { head, executor, below, recompute, buffers } = this.options;
    const x = await statesBelow(ids, number, below);
    const tools = { maths: executor.maths, buffers, recompute };
    const run = await runWindow(tools, this.blocks, x);
    const slope = buffers.take(ids.length, executor.spec.hiddenSize).fill(0);
    const { sum } = await head.run({ hidden: run.output, targets }, { weight, to: slope });
    await run.backward(slope);
    buffers.release(slope);
    return sum;
  }
}

function learnedOf(state: TuningState, additions: readonly BlockAdditions[]): LearnedPart[] {
  return state.parts.flatMap((part, i) => {
    const slopes = additions[part.block].get(part.role)?.slopes;
    return slopes ? [{ part, slopes, moments: momentsOf(state, i) }] : [];
  });
}

function notFinite(step: string, sequence: number | null, found: number): UserError {
  const where = sequence === null ? "slopes" : `sequence ${sequence + 1} of the batch: loss`;
  return new UserError(
    "TUNING_NOT_FINITE",
    `tuning: ${step}: ${where}: expected a finite number, found ${found}`,
    "the state before it is kept: tune again with a smaller --rate or a larger --warmup",
  );
}
