import type { RowComparer } from "../../maths/row-comparison.ts";
import type { VoteRule } from "./vote-rules/vote-rule.ts";

/** The logits of one voter on some rows: each of its first logits is one id's, what follows them is no vote. */
export interface Vote {
  /** [rows, width] */
  readonly logits: Float32Array;
  /** Ids of its logits, by index; null: every id of the vocabulary, in order. */
  readonly ids: Int32Array | null;
}

/** The rows that are voted on, how, and who sums them up. */
interface VotedRows {
  readonly rows: number;
  readonly vocabSize: number;
  readonly rule: VoteRule;
  readonly comparer: Pick<RowComparer, "summarize">;
}

/**
 * What several heads say together: each p_e is the softmax of all of a voter's logits, its tail's too, which no id
 * gets; the rule joins w_e p_e(t) over voters, and the result is made to sum to 1. The order of voters does not matter,
 * and one voter over the whole vocabulary keeps its distribution, whatever its weight.
 */
export class Ballot {
  private readonly voted: VotedRows;
  /** Logarithms of what is joined so far, [rows, vocabSize]; -Infinity: nobody has voted for it. */
  private readonly counted: Float32Array;

  constructor(voted: VotedRows) {
    this.voted = voted;
    this.counted = new Float32Array(voted.rows * voted.vocabSize).fill(Number.NEGATIVE_INFINITY);
  }

  /** Adds a voter of a weight above 0 on any scale that all share. */
  async add({ logits, ids }: Vote, weight: number): Promise<void> {
    const { rows, vocabSize, comparer } = this.voted;
    const width = logits.length / rows;
    const { logSumExps } = await comparer.summarize(logits, rows);
    for (const [row, logSumExp] of logSumExps.entries()) {
      const own = logits.subarray(row * width, (row + 1) * width);
      this.addRow(
        own,
        Math.log(weight) - logSumExp,
        ids,
        this.counted.subarray(row * vocabSize, (row + 1) * vocabSize),
      );
    }
  }

  /** Logarithms of the distributions, [rows, vocabSize]: the ballot's own array, to which nothing is added after. */
  async count(): Promise<Float32Array> {
    const { rows, vocabSize, comparer } = this.voted;
    const { logSumExps } = await comparer.summarize(this.counted, rows);
    for (const [row, mass] of logSumExps.entries()) {
      for (let i = row * vocabSize; i < (row + 1) * vocabSize; i++) this.counted[i] -= mass;
    }
    return this.counted;
  }

  /** `shift`: what makes a logit the logarithm of a weighted probability. */
  private addRow(logits: Float32Array, shift: number, ids: Int32Array | null, to: Float32Array): void {
    const { join } = this.voted.rule;
    const count = ids?.length ?? to.length;
    for (let i = 0; i < count; i++) {
      const id = ids === null ? i : ids[i];
      to[id] = join(to[id], logits[i] + shift);
    }
  }
}
