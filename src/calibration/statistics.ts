import { throwIfAborted } from "../errors.ts";
import type { Maths } from "../maths/maths.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import { idOf } from "../model/matrix-id.ts";
import { matrixInputsOf } from "../model/matrix-inputs.ts";
import type { WeightSource } from "../model/weight-source.ts";
import { groupSequences, type RowGroup } from "../passes/rows.ts";
import { runNumbers } from "../passes/run-rows.ts";
import type { WorkOptions } from "../progress.ts";
import { embedRows } from "../runtime/embed-rows.ts";
import type { AnyExecutor, ExecutorFactory } from "../runtime/executor.ts";
import type { InputObserver } from "../runtime/input-capture.ts";
import { ChosenWeights } from "./chosen-weights.ts";
import { GramSum, type InputStatistics } from "./gram-sum.ts";

import { normalizeRows, type RowNorm, readNorm } from "./normalize-rows.ts";

/** Statistics of all matrices of one block. */
export interface BlockStatistics {
  readonly block: number;
  /** Of a matrix' input; the same object for matrices that share theirs. Throws where the block has no such matrix. */
  of(matrixId: string): InputStatistics;
  /** Each distinct input, and the ids of the matrices that take it. */
  readonly inputs: readonly { readonly matrices: readonly string[]; readonly statistics: InputStatistics }[];
}

/** The hidden states of some sequences at one depth. */
export interface DescentState extends RowGroup {
  /** [rows, hiddenSize] */
  readonly hidden: Float32Array;
}

/** Goes through the blocks once, from the first to the last, with the hidden states of all calibration sequences. */
export interface StatisticsDescent {
  /** The block whose inputs `collect` sees; after the last advance the number of blocks. */
  readonly at: number;
  /** Hidden states at the input of block `at`, pass by pass. Not to be written. */
  readonly states: readonly DescentState[];
  /**
   * Statistics of the inputs of block `at`'s matrices on these states, by the original weights of the block; does not
   * advance.
   */
  collect(): Promise<BlockStatistics>;
  /** What block `at` makes of these states by its original weights; an `advance` by these does not run it again. */
  outputs(): Promise<readonly DescentState[]>;
  /**
   * Moves the states through block `at`: by the weights of `source`, which has the block as it is now; default the
   * original ones.
   */
  advance(source?: WeightSource): Promise<void>;
  /** After the last block: statistics of the output head's input, which is the final norm's output. */
  collectHead(): Promise<InputStatistics>;
  close(): Promise<void>;
}

export interface StatisticsOptions extends WorkOptions {
  readonly source: WeightSource;
  /** Whose embedding the states begin with; default `source`. */
  readonly embedding?: WeightSource | undefined;
  /** Run each on its own from position 0, as they are: nothing is padded. */
  readonly sequences: readonly Int32Array[];
  /**
   * Makes streamed executors; their precision is the precision of the states. Observed rows are f32 before any
   * rounding.
   */
  readonly createExecutor: ExecutorFactory;
  /** Sums x^T x. */
  readonly maths: Maths;
  /** Most rows of a pass; a longer sequence is a pass of its own. Changes the order of sums, and so last bits. */
  readonly rowsPerPass?: number | undefined;
  /** False holds the states once instead of twice; an `advance` after `collect` then runs the block again. */
  readonly keepOutputs?: boolean | undefined;
}

/** Bounds the copies of inputs that a pass makes: 2,048 rows of the widest block's inputs. */
const ROWS_PER_PASS = 2048;

/**
 * Opens a descent at block 0. Holds the hidden states of all sequences (tokens x hiddenSize x 4 bytes, twice with
 * `keepOutputs`), the inputs of one pass and the sums of one block. The numbers do not depend on the number of threads.
 * The source stays the caller's to close.
 */
export async function openStatisticsDescent(options: StatisticsOptions): Promise<StatisticsDescent> {
  throwIfAborted(options.signal);
  const groups = groupSequences(options.sequences, options.rowsPerPass ?? ROWS_PER_PASS);
  const tokens = groups.reduce((sum, { ids }) => sum + ids.length, 0);
  if (tokens === 0) throw new Error("statistics: expected at least one token");
  const states = await embedded(options.embedding ?? options.source, groups);
  return new Descent(options, { executor: await options.createExecutor(options.source), states, tokens });
}

/** Mean of x^2 of every column, [cols]: the diagonal of the Gram matrix. */
export function diagonalOf({ gram, cols }: InputStatistics): Float32Array {
  return Float32Array.from({ length: cols }, (_, i) => gram[i * cols + i]);
}

class Descent implements StatisticsDescent {
  at = 0;
  states: readonly DescentState[];
  private readonly options: StatisticsOptions;
  private readonly spec: DecoderSpec;
  private readonly executor: AnyExecutor;
  private readonly tokens: number;
  /** Executor over the weights given to `advance`. */
  private readonly chosen: ChosenWeights;
  /** Outputs of block `at` by the original weights, where it has run and they are kept. */
  private kept: readonly DescentState[] | null = null;
  private progress = 0;

  constructor(
    options: StatisticsOptions,
    parts: { executor: AnyExecutor; states: readonly DescentState[]; tokens: number },
  ) {
    this.options = options;
    this.spec = options.source.spec;
    this.executor = parts.executor;
    this.states = parts.states;
    this.tokens = parts.tokens;
    this.chosen = new ChosenWeights(options.createExecutor);
  }

  async collect(): Promise<BlockStatistics> {
    const block = this.block();
    const sums = new Map(
      matrixInputsOf(this.spec.blocks[block]).map(({ cols, roles }) => {
        const matrices = roles.map((role) => idOf(block, role));
        return [matrices[0], { matrices, sum: this.newSum(cols) }];
      }),
    );
    const outputs = await this.run(this.executor, async ({ matrices, data, rows }) =>
      sums.get(matrices[0])?.sum.add(data, rows),
    );
    if (this.options.keepOutputs ?? true) this.kept = outputs;
    return blockStatistics(
      block,
      [...sums.values()].map(({ matrices, sum }) => ({ matrices, statistics: sum.finish() })),
    );
  }

  async outputs(): Promise<readonly DescentState[]> {
    this.block();
    this.kept ??= await this.run(this.executor);
    return this.kept;
  }

  async advance(source?: WeightSource): Promise<void> {
    const block = this.block();
    const own = source === undefined || source === this.options.source;
    this.states = own ? await this.outputs() : await this.run(await this.chosen.executorOf(source));
    this.kept = null;
    this.at++;
    this.report(this.at * this.states.length, `block ${block}`);
  }

  async collectHead(): Promise<InputStatistics> {
    if (this.at !== this.spec.blocks.length) throw new Error(`statistics: block ${this.at} has not been passed`);
    const norm: RowNorm = await readNorm(this.options.source, "finalNorm", this.spec.finalNorm);
    const sum = this.newSum(this.spec.hiddenSize);
    for (const { hidden, ids } of this.states) {
      throwIfAborted(this.options.signal);
      await sum.add(normalizeRows(hidden, norm), ids.length);
    }
    return sum.finish();
  }

  async close(): Promise<void> {
    await this.chosen.close();
    await this.executor.dispose();
  }

  private block(): number {
    if (this.at < this.spec.blocks.length) return this.at;
    throw new Error(`statistics: all ${this.at} blocks have been passed`);
  }

  private newSum(cols: number): GramSum {
    return new GramSum(cols, this.tokens, this.options.maths);
  }

  /** Runs every pass' states through the block; what comes out in the same order. */
  private async run(executor: AnyExecutor, inputs?: InputObserver): Promise<DescentState[]> {
    const outputs: DescentState[] = [];
    const { signal } = this.options;
    for (const state of this.states) {
      throwIfAborted(signal);
      const before = { data: state.hidden, spans: state.spans };
      const hidden = await runNumbers(executor, before, [this.at, this.at + 1], { signal, inputs });
      outputs.push({ ...state, hidden });
      this.report(this.at * this.states.length + outputs.length, `block ${this.at}`);
    }
    return outputs;
  }

  /** Passes done, of one a block and group; never fewer than before. */
  private report(done: number, detail: string): void {
    this.progress = Math.max(this.progress, done);
    const total = this.spec.blocks.length * this.states.length;
    this.options.onProgress?.({ stage: "statistics", done: this.progress, total, detail });
  }
}

/** The states that the descent begins with; a row that several groups have is read once. */
async function embedded(source: WeightSource, groups: readonly RowGroup[]): Promise<DescentState[]> {
  const { hiddenSize } = source.spec;
  const ids = Int32Array.from(groups.flatMap((group) => [...group.ids]));
  const hidden = new Float32Array(ids.length * hiddenSize);
  await embedRows(source, ids, hidden);
  let at = 0;
  return groups.map((group) => {
    const from = at;
    at += group.ids.length * hiddenSize;
    return { ...group, hidden: hidden.subarray(from, at) };
  });
}

function blockStatistics(block: number, inputs: BlockStatistics["inputs"]): BlockStatistics {
  const known = new Map(inputs.flatMap(({ matrices, statistics }) => matrices.map((id) => [id, statistics])));
  return {
    block,
    inputs,
    of(matrixId) {
      const found = known.get(matrixId);
      if (!found) throw new Error(`statistics: block ${block} has no matrix ${matrixId}`);
      return found;
    },
  };
}
