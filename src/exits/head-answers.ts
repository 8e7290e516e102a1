import { setImmediate } from "node:timers/promises";
import type { Confidence } from "../artifact/exits.ts";
import { throwIfAborted } from "../errors.ts";
import { expNegative } from "../evaluation/row-distribution.ts";
import type { WorkOptions } from "../progress.ts";
import { allBatches } from "./batches.ts";
import { headLogits, type SharedHead } from "./head-graph.ts";
import type { SavedStates } from "./states.ts";
import type { ExitAnswers } from "./thresholds.ts";
import type { TrainedHead } from "./train-heads.ts";

/** What a row of a head's logits says. */
export interface RowAnswer {
  /** Index of the largest logit, the lowest of equals. */
  readonly best: number;
  /** By the metric: entropy in nats, largest probability, or its lead over the second. */
  readonly confidence: number;
}

/** Answer and confidence of one row of logits, the tail one of them. */
export function rowAnswer(logits: Float32Array, metric: Confidence): RowAnswer {
  let best = 0;
  let max = Number.NEGATIVE_INFINITY;
  let second = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) {
    const value = logits[i];
    if (value > max) {
      second = max;
      max = value;
      best = i;
    } else if (value > second) second = value;
  }
  let sum = 0;
  let weighted = 0;
  for (let i = 0; i < logits.length; i++) {
    const below = max - logits[i];
    const share = expNegative(below);
    sum += share;
    weighted += share * below;
  }
  // H = ln(sum) + sum of p (max - logit), with p = e^(logit - max) / sum.
  if (metric === "entropy") return { best, confidence: Math.log(sum) + weighted / sum };
  return { best, confidence: metric === "max" ? 1 / sum : (1 - expNegative(max - second)) / sum };
}

/** Of which tokens, by which metric heads are asked, and against which ids (null: all). */
export interface AnswerOptions extends Pick<WorkOptions, "signal"> {
  readonly saved: SavedStates;
  readonly metric: Confidence;
  readonly ids: Int32Array | null;
  readonly batchTokens: number;
}

/** What each head says of every token, and whether that is the whole model's answer. The training backend is open. */
export async function headAnswers(
  shared: SharedHead,
  heads: readonly TrainedHead[],
  { saved, metric, ids, batchTokens, signal }: AnswerOptions,
): Promise<ExitAnswers[]> {
  const answers = heads.map(() => ({
    confidence: new Float32Array(saved.tokens),
    agrees: new Uint8Array(saved.tokens),
    outside: new Uint8Array(saved.tokens),
  }));
  let at = 0;
  for await (const { rows, states, argmax } of allBatches(saved, batchTokens)) {
    await setImmediate();
    throwIfAborted(signal);
    for (const [i, { blocks, parameters }] of heads.entries()) {
      const hidden = states.get(blocks);
      if (!hidden) throw new Error(`exits: no states after ${blocks} blocks`);
      const logits = headLogits(shared, parameters, { rows, hidden });
      const width = logits.shape[1];
      const numbers = logits.dataSync<"float32">();
      logits.dispose();
      for (let row = 0; row < rows; row++) {
        const { best, confidence } = rowAnswer(numbers.subarray(row * width, (row + 1) * width), metric);
        const outside = ids !== null && best === ids.length;
        answers[i].confidence[at + row] = confidence;
        answers[i].outside[at + row] = outside ? 1 : 0;
        answers[i].agrees[at + row] = !outside && (ids ? ids[best] : best) === argmax[row] ? 1 : 0;
      }
    }
    at += rows;
  }
  return answers;
}
