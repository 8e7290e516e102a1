import { gatherPackedRows } from "../../codecs/gather-rows.ts";
import type { Maths, PackedOperand } from "../../maths/maths.ts";
import { headMatrixId } from "../../model/decoder-spec.ts";
import { readOutputVectors } from "../../model/output-vectors.ts";
import type { WeightSource } from "../../model/weight-source.ts";
import { aligned } from "../../native/aligned.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import { type FrozenNorm, packedOperand } from "./block/frozen-block.ts";
import { addTo } from "./block/linear-passes.ts";
import { normBackward } from "./block/norm-passes.ts";

/** Rows whose logits are in memory at a time. */
const CHUNK_ROWS = 32;
/** Ids whose rows of the head are gathered at a time. */
const MOST_IDS = 4096;
/** Smallest probability of an id that counts by itself; the others count together, as one id of mean weights. */
const LEAST_SHARE = 1e-4;

/** What the head says of some rows. */
export interface RowsLoss {
  /** Sum of -ln p(target) in nats over the rows that have a target. */
  readonly sum: number;
  readonly targets: number;
  /** Sum over these rows of the probability of ids that did not count by themselves. */
  readonly shared: number;
}

/** Rows of the last states of a sequence, and the id that each is to predict. */
export interface HeadRows {
  /** [rows, hiddenSize], before the final norm */
  readonly hidden: Float32Array;
  /** [rows]; -1: the row does not count. */
  readonly targets: Int32Array;
}

/** What the loss is made of. */
export interface HeadLossParts {
  readonly executor: AnyExecutor;
  readonly operand: PackedOperand;
  readonly norm: FrozenNorm;
  /** [hiddenSize]: mean of the head's rows */
  readonly meanRow: Float32Array;
}

/**
 * Next-token cross entropy through the final norm and the shared output head, some rows at a time: sequence ×
 * vocabulary is never held. Logits come from the executor's packed head. Of its slope in the normed row, sum_v p_v W_v
 * - W_target, ids below LEAST_SHARE count together as `shared` times the mean row, so that it is wrong by no more than
 * their probability times the largest distance of a row from the mean.
 */
export class HeadLoss {
  private readonly parts: HeadLossParts;
  private readonly logits: Float32Array;
  /** Where an id stands among those of a chunk, + 1. */
  private readonly places: Int32Array;

  constructor(parts: HeadLossParts) {
    const { vocabSize } = parts.executor.spec;
    this.parts = parts;
    this.logits = new Float32Array(CHUNK_ROWS * vocabSize);
    this.places = new Int32Array(vocabSize);
  }

  /** The loss of rows; where `slope` is given also its slope, times `weight`, added there: [rows, hiddenSize]. */
  async run(
    { hidden, targets }: HeadRows,
    slope: { readonly weight: number; readonly to: Float32Array } | null = null,
  ): Promise<RowsLoss> {
    const { executor } = this.parts;
    const counted = Int32Array.from(targets.keys()).filter((row) => targets[row] >= 0);
    const held: unknown = executor.write(hidden, targets.length);
    let [sum, shared] = [0, 0];
    try {
      for (let at = 0; at < counted.length; at += CHUNK_ROWS) {
        const rows = counted.subarray(at, at + CHUNK_ROWS);
        const into = this.logits.subarray(0, rows.length * executor.spec.vocabSize);
        const logits = await executor.logits(held, rows, { into });
        const { logSumExps } = await executor.maths.rowComparer().summarize(logits, rows.length);
        const wanted = rows.map((row) => targets[row]);
        wanted.forEach((id, i) => {
          sum += logSumExps[i] - logits[i * executor.spec.vocabSize + id];
        });
        if (slope) shared += await this.addSlopes({ hidden, rows, wanted, logits, logSumExps }, slope);
      }
    } finally {
      executor.release(held);
    }
    return { sum, targets: counted.length, shared };
  }

  private async addSlopes(
    { hidden, rows, wanted, logits, logSumExps }: Chunk,
    { weight, to }: { readonly weight: number; readonly to: Float32Array },
  ): Promise<number> {
    const { norm, meanRow, executor } = this.parts;
    const { hiddenSize } = executor.spec;
    const { ids, entries, left } = this.sharesOf({ wanted, logits, logSumExps });
    const normed = new Float32Array(rows.length * hiddenSize);
    for (let row = 0; row < rows.length; row++) {
      for (let i = 0; i < hiddenSize; i++) normed[row * hiddenSize + i] = left[row] * meanRow[i];
    }
    for (let from = 0; from < ids.length; from += MOST_IDS) {
      await this.addRows({ ids: Int32Array.from(ids.slice(from, from + MOST_IDS)), first: from }, entries, normed);
    }
    for (let i = 0; i < normed.length; i++) normed[i] *= weight;
    rows.forEach((row, i) => {
      const part = (x: Float32Array, at: number) => x.subarray(at * hiddenSize, (at + 1) * hiddenSize);
      normBackward(norm, { x: part(hidden, row), dy: part(normed, i), dx: part(to, row) });
    });
    return left.reduce((total, one) => total + one, 0);
  }

  /**
   * The ids that count by themselves in any row, their shares p - [target], and what is left of each row's
   * probability.
   */
  private sharesOf({ wanted, logits, logSumExps }: Pick<Chunk, "wanted" | "logits" | "logSumExps">): {
    readonly ids: readonly number[];
    readonly entries: Entries;
    readonly left: Float64Array;
  } {
    const { vocabSize } = this.parts.executor.spec;
    const { places } = this;
    const ids: number[] = [];
    const entries: Entries = { rows: [], places: [], shares: [] };
    const add = (row: number, id: number, share: number) => {
      if (places[id] === 0) places[id] = ids.push(id);
      entries.rows.push(row);
      entries.places.push(places[id] - 1);
      entries.shares.push(share);
    };
    const left = new Float64Array(wanted.length).fill(1);
    for (const [row, target] of wanted.entries()) {
      const at = row * vocabSize;
      const least = logSumExps[row] + Math.log(LEAST_SHARE);
      for (let id = 0; id < vocabSize; id++) {
        if (!(logits[at + id] >= least)) continue;
        const share = Math.exp(logits[at + id] - logSumExps[row]);
        left[row] -= share;
        add(row, id, share);
      }
      add(row, target, -1);
    }
    for (const id of ids) places[id] = 0;
    return { ids, entries, left: left.map((one) => Math.max(0, one)) };
  }

  /** Adds shares times the head's rows of some ids, the chunk's from the `first` on, to `to` [rows, hiddenSize]. */
  private async addRows(
    { ids, first }: { readonly ids: Int32Array; readonly first: number },
    entries: Entries,
    to: Float32Array,
  ): Promise<void> {
    const { operand, executor } = this.parts;
    const shares = new Float32Array((to.length / operand.cols) * ids.length);
    for (let i = 0; i < entries.rows.length; i++) {
      const place = entries.places[i] - first;
      if (place >= 0 && place < ids.length) shares[entries.rows[i] * ids.length + place] += entries.shares[i];
    }
    const gathered = { ...operand, rows: ids.length, bytes: aligned(gatherPackedRows(operand.codec, operand, ids)) };
    const sums = new Float32Array(to.length);
    await executor.maths.multiplyPackedTransposed(gathered, shares, sums);
    addTo(to, sums);
  }
}

/** Shares of ids in rows: the i-th is of a row and the id at a place. */
interface Entries {
  readonly rows: number[];
  readonly places: number[];
  readonly shares: number[];
}

interface Chunk {
  readonly hidden: Float32Array;
  /** Rows of `hidden`, and the id that each is to predict. */
  readonly rows: Int32Array;
  readonly wanted: Int32Array;
  /** [rows, vocabSize], [rows] */
  readonly logits: Float32Array;
  readonly logSumExps: Float64Array;
}

/** The loss through the output head of a source, which `executor` runs. */
export async function openHeadLoss(source: WeightSource, executor: AnyExecutor): Promise<HeadLoss> {
  const { spec } = source;
  const { norm } = await readOutputVectors(source);
  const operand = packedOperand(await source.readMatrix(headMatrixId(spec)));
  const meanRow = await meanOfRows(operand, executor.maths);
  return new HeadLoss({ executor, operand, norm: { ...norm, spec: spec.finalNorm }, meanRow });
}

async function meanOfRows(operand: PackedOperand, maths: Maths): Promise<Float32Array> {
  const mean = new Float32Array(operand.cols);
  await maths.multiplyPackedTransposed(operand, new Float32Array(operand.rows).fill(1 / operand.rows), mean);
  return mean;
}
