import type { AnyExecutor, RunBlocksOptions } from "../runtime/executor.ts";
import { traitsOf } from "../runtime/executors.ts";
import type { HeadAnswers } from "../runtime/head-answers.ts";
import { emptyAnswers } from "../runtime/head-answers.ts";
import { OUTPUT_HEAD } from "../runtime/heads.ts";
import { notFinite } from "../runtime/not-finite.ts";
import { allFinite } from "../tensor/finite.ts";
import { mostLikely, type Sampler } from "./sampler.ts";

/** What is wanted of the output head: the most likely id of each row, or every logit. */
export type WantedOfOutput = "best" | "logits";

/** What the output head says of some rows. */
export interface OutputAnswers {
  /** Most likely id of a row, the lower one of equals. Throws UserError where a logit is not finite. */
  best(row: number): number;
  /** [vocabSize]; throws where only the most likely id was asked for. */
  logits(row: number): Float32Array;
}

/** The id that a sampler chooses after a row. */
export function chooseAfter(output: OutputAnswers, row: number, sampler: Sampler, history: ArrayLike<number>): number {
  return sampler.greedy ? output.best(row) : sampler.next(output.logits(row), history);
}

/** What a sampler must be told of the output head's rows. */
export function wantedBy({ greedy }: Sampler): WantedOfOutput {
  return greedy ? "best" : "logits";
}

/**
 * The output head's answers to rows of one pass after the other, in arrays that are kept. The engine finds the most
 * likely ids itself, so that no logits leave it. On tfjs answers come from logits and cost an exponential each: there
 * the largest logit is looked for instead.
 */
export class OutputRows implements OutputAnswers {
  private readonly vocabSize: number;
  private readonly answersInEngine: boolean;
  private asked: WantedOfOutput = "logits";
  private kept: Float32Array = new Float32Array(0);
  private answers: HeadAnswers = emptyAnswers(1);

  constructor({ spec, info }: AnyExecutor) {
    this.vocabSize = spec.vocabSize;
    this.answersInEngine = traitsOf(info).answersInEngine;
  }

  /** What makes a pass of `runBlocks` give them, for rows [from, to) of its result; row 0 of the answers is `from`. */
  ask(from: number, to: number, wanted: WantedOfOutput): Pick<RunBlocksOptions, "logits" | "answers"> {
    const rows = Int32Array.from({ length: to - from }, (_, row) => from + row);
    this.asked = this.answersInEngine ? wanted : "logits";
    if (this.asked === "logits") return { logits: { rows, into: this.roomFor(rows.length) } };
    if (this.answers.best.length < rows.length) this.answers = emptyAnswers(2 * rows.length);
    return { answers: { head: OUTPUT_HEAD, rows, into: this.answers } };
  }

  /** Throws UserError LOGITS_NOT_FINITE where a logit that a pass gave is not finite; answers were looked at by it. */
  check(): void {
    if (this.asked === "logits" && !allFinite(this.kept)) throw notFinite("logits");
  }

  best(row: number): number {
    return this.asked === "best" ? this.answers.best[row] : mostLikely(this.logits(row));
  }

  logits(row: number): Float32Array {
    if (this.asked !== "logits") throw new Error("the logits of this pass were not asked for");
    if (this.kept.length === this.vocabSize && row === 0) return this.kept;
    return this.kept.subarray(row * this.vocabSize, (row + 1) * this.vocabSize);
  }

  /** [rows, vocabSize] */
  private roomFor(rows: number): Float32Array {
    const length = rows * this.vocabSize;
    if (this.kept.length !== length) {
      const whole = new Float32Array(this.kept.buffer);
      this.kept = (whole.length >= length ? whole : new Float32Array(length)).subarray(0, length);
    }
    return this.kept;
  }
}
