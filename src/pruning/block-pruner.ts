import type { BlockStatistics, DescentState } from "../calibration/statistics.ts";
import type { Maths } from "../maths/maths.ts";
import { idOf } from "../model/matrix-id.ts";
import { denseMatrix, type WeightSource } from "../model/weight-source.ts";
import { runNumbers } from "../passes/run-rows.ts";
import type { WorkOptions } from "../progress.ts";
import type { AnyExecutor, ExecutorFactory } from "../runtime/executor.ts";
import type { InputObserver } from "../runtime/input-capture.ts";
import { cutSpec, UNCUT } from "./cut.ts";
import type { PrunedBlock, PruningKind } from "./kind.ts";
import { heldMatrices, prunedSource } from "./pruned-source.ts";
import { LackSum, lastRoleOf } from "./refit.ts";

/** What blocks are pruned, or their pruning is tried, with. */
export interface PruningWork extends WorkOptions {
  /** The uncut model. */
  readonly source: WeightSource;
  /** What repairs go by. */
  readonly sequences: readonly Int32Array[];
  /** Makes a streamed executor. */
  readonly createExecutor: ExecutorFactory;
  readonly maths: Maths;
}

/** A block that loses slices of a kind (null: none), and how many blocks after it are left out whole. */
interface Stretch {
  readonly block: number;
  readonly kind: PruningKind | null;
  /** What it keeps, once for each, falling. */
  readonly counts: readonly number[];
  readonly leftOut: number;
}

/** What the block of a stretch is given; asked for where it counts. */
interface StretchInputs {
  states(): Promise<readonly DescentState[]>;
  /** Of the inputs of the block's matrices on these states. */
  statistics(): Promise<BlockStatistics>;
}

/** Prunes single blocks, and lets the last matrix of what is left of each make up for what is gone. */
export class BlockPruner {
  private readonly work: PruningWork;
  /** Of the uncut model. */
  private executor: AnyExecutor | null = null;
  /** What it has made of some states last: kinds that are tried in turn want the same. */
  private last: {
    readonly states: readonly DescentState[];
    readonly range: readonly [number, number];
    readonly outputs: readonly DescentState[];
  } | null = null;

  constructor(work: PruningWork) {
    this.work = work;
  }

  /** The block of a stretch at each of the counts. */
  async *prune({ block, kind, counts, leftOut }: Stretch, inputs: StretchInputs): AsyncIterable<PrunedBlock> {
    const { source, maths } = this.work;
    const wanted = { block, source, maths, statistics: () => inputs.statistics() };
    const refits = leftOut > 0 || kind?.refits;
    const end = block + leftOut + 1;
    for await (const one of kind ? kind.prune(wanted, counts) : [UNTOUCHED])
      yield refits ? await this.refit([block, end], one, () => inputs.states()) : one;
  }

  /** What a pruned block makes of some states; `inputs` is shown what its matrices are given of the i-th of them. */
  async run(
    block: number,
    pruned: PrunedBlock,
    states: readonly DescentState[],
    inputs?: (i: number) => InputObserver,
  ): Promise<DescentState[]> {
    const executor = await this.work.createExecutor(this.withPruned(block, pruned));
    try {
      return await this.runOn(executor, states, [block, block + 1], inputs);
    } finally {
      await executor.dispose();
    }
  }

  async close(): Promise<void> {
    await this.executor?.dispose();
  }

  /** The pruned block with its last matrix fitted so that it gives what the whole blocks of a stretch gave. */
  private async refit(
    [block, end]: readonly [number, number],
    pruned: PrunedBlock,
    states: () => Promise<readonly DescentState[]>,
  ): Promise<PrunedBlock> {
    const source = this.withPruned(block, pruned);
    const spec = source.spec.blocks[block];
    const role = lastRoleOf(spec);
    if (!role) return pruned;
    const given = await states();
    const outputs = await this.runWhole(given, [block, end]);
    const id = idOf(block, role);
    const matrix = denseMatrix(await source.readMatrix(id));
    const sum = new LackSum(this.work.maths, matrix.rows, matrix.cols);
    const taken: Float32Array[] = [];
    const found = await this.run(block, pruned, given, (i) => ({ matrices, data }) => {
      if (matrices.includes(id)) taken[i] = data.slice();
    });
    for (const [i, { hidden }] of found.entries()) {
      const whole = outputs[i].hidden;
      const lacking = hidden.map((value, at) => (whole[at] - value) / spec.residualFactor);
      await sum.add(taken[i], lacking, whole);
    }
    const fitted = await sum.repaired(matrix, `what ${id} is to make up for`);
    return fitted ? { ...pruned, repaired: new Map([...pruned.repaired, [role, fitted]]) } : pruned;
  }

  /** What the uncut model's blocks [from, to) make of some states. */
  private async runWhole(
    states: readonly DescentState[],
    range: readonly [number, number],
  ): Promise<readonly DescentState[]> {
    const { last } = this;
    if (last?.states === states && last.range.join() === range.join()) return last.outputs;
    this.executor ??= await this.work.createExecutor(this.work.source);
    const outputs = await this.runOn(this.executor, states, range);
    this.last = { states, range, outputs };
    return outputs;
  }

  /** The model with one block pruned. */
  private withPruned(block: number, { cut, repaired }: PrunedBlock): WeightSource {
    const { source } = this.work;
    const cuts = source.spec.blocks.map((_, i) => (i === block ? cut : UNCUT));
    const matrices = new Map([...repaired].map(([role, matrix]) => [idOf(block, role), matrix]));
    return prunedSource({
      ...{ source, spec: cutSpec(source.spec, cuts), cutOf: (i) => cuts[i], repaired: heldMatrices(matrices) },
    });
  }

  private async runOn(
    executor: AnyExecutor,
    states: readonly DescentState[],
    range: readonly [number, number],
    inputs?: (i: number) => InputObserver,
  ): Promise<DescentState[]> {
    const { signal } = this.work;
    const outputs: DescentState[] = [];
    for (const [i, rows] of states.entries()) {
      const options = { signal, inputs: inputs?.(i) };
      const hidden = await runNumbers(executor, { data: rows.hidden, spans: rows.spans }, range, options);
      outputs.push({ ...rows, hidden });
    }
    return outputs;
  }
}

const UNTOUCHED: PrunedBlock = { cut: UNCUT, repaired: new Map() };
