import type { Confidence } from "../../artifact/exits.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import { mostLikely } from "../sampler.ts";

/** What an exit head says of one token. */
export interface HeadAnswer {
  /** Index of its largest logit, the lowest of equals; the count of its ids where the tail wins. */
  readonly best: number;
  /** Nats, over all its logits, the tail one of them. */
  readonly entropy: number;
  readonly maxProbability: number;
  /** Largest minus second largest probability. */
  readonly margin: number;
}

/** One row of a hidden state, and the exit head that is asked about it. */
export interface HeadQuestion {
  /** Name that the head was loaded under. */
  readonly head: string;
  readonly row: number;
  /** Written in place of a new array, where its length is that of the head's logits. */
  readonly into?: Float32Array | undefined;
}

/** A head's answer and the logits, [its ids, and the tail], that it comes from. Throws where a logit is NaN. */
export async function askHead<Hidden>(
  executor: AnyExecutor,
  hidden: Hidden,
  { head, row, into }: HeadQuestion,
): Promise<{ readonly answer: HeadAnswer; readonly logits: Float32Array }> {
  const logits = await executor.logits(hidden, Int32Array.of(row), { head, into });
  return { answer: answerOf(logits), logits };
}

/** The answer that logits give. Entropy = log Z - Σ p x with x relative to the largest and Z = Σ exp x, in double precision. */
export function answerOf(logits: Float32Array): HeadAnswer {
  const best = mostLikely(logits);
  let partition = 0;
  let weighted = 0;
  let second = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) {
    const below = logits[i] - logits[best];
    const weight = Math.exp(below);
    partition += weight;
    if (weight > 0) weighted += weight * below;
    if (i !== best && below > second) second = below;
  }
  return {
    best,
    entropy: Math.log(partition) - weighted / partition,
    maxProbability: 1 / partition,
    margin: (1 - Math.exp(second)) / partition,
  };
}

/** The answer's confidence on one metric's scale. */
export function confidenceOf(answer: HeadAnswer, metric: Confidence): number {
  const { entropy, maxProbability, margin } = answer;
  return { entropy, max: maxProbability, margin }[metric];
}
