import { z } from "zod";
import { Arithmetic } from "../evaluation-result.ts";

const count = z.number().int().nonnegative();

/** A mean with its standard error. */
const Estimate = z.strictObject({ value: z.number(), error: z.number().nonnegative() });

/** Figures of one zero-shot task; shares are 0 … 1. */
export const TaskResult = z.strictObject({
  task: z.string(),
  /** Examples scored, the first of `available`. */
  examples: count,
  available: count,
  /** The likeliest choice is right; for a task of continuation: greedy decoding writes the continuation. */
  accuracy: Estimate,
  /** The same with log-likelihoods divided by the UTF-8 bytes of the answers; null where a task has none. */
  accuracyNorm: Estimate.nullable(),
  /** e^(-mean log-likelihood of the continuation), for tasks of continuation. */
  perplexity: Estimate.nullable(),
  seconds: z.number().nonnegative(),
});
export type TaskResult = z.infer<typeof TaskResult>;

/** Zero-shot tasks on one model. */
export const ZeroShotResult = z.strictObject({
  formatVersion: z.literal(1),
  arithmetic: Arithmetic,
  /** Put before every context; null for none. */
  bosToken: count.nullable(),
  tasks: z.array(TaskResult),
});
export type ZeroShotResult = z.infer<typeof ZeroShotResult>;
