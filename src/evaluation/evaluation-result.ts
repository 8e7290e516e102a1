import { z } from "zod";
import { KvType } from "../model/kv-type.ts";
import { ExecutorInfo } from "../runtime/executor-info.ts";

const count = z.number().int().nonnegative();

/** Perplexity of one model over the scored tokens, nll in nats. */
export const PerplexityResult = z.strictObject({
  perplexity: z.number().positive(),
  perplexityError: z.number().nonnegative(),
  meanNll: z.number(),
  meanNllError: z.number().nonnegative(),
});
export type PerplexityResult = z.infer<typeof PerplexityResult>;

/** KL(reference || model) per token over the full vocabulary, in nats, and top-1 and top-5 agreement (0 … 1). */
export const DivergenceResult = z.strictObject({
  mean: z.number(),
  meanError: z.number().nonnegative(),
  median: z.number(),
  p90: z.number(),
  p99: z.number(),
  max: z.number(),
  top1Agreement: z.number().min(0).max(1),
  top1AgreementError: z.number().nonnegative(),
  /** Share of tokens where the reference's first token is among the model's five likeliest. */
  top5Agreement: z.number().min(0).max(1),
  top5AgreementError: z.number().nonnegative(),
});
export type DivergenceResult = z.infer<typeof DivergenceResult>;

/** With what arithmetic a figure was taken. */
export const Arithmetic = ExecutorInfo.extend({
  /** How keys and values are kept. */
  kvType: KvType,
});
export type Arithmetic = z.infer<typeof Arithmetic>;

/** One model's part of an evaluation. */
export const ModelResult = PerplexityResult.extend({ arithmetic: Arithmetic });
export type ModelResult = z.infer<typeof ModelResult>;

/** Perplexity of a model on a text and, with a reference, its divergence from it. */
export const EvaluationResult = z.strictObject({
  formatVersion: z.literal(1),
  text: z.strictObject({ sha256: z.string().nullable(), tokens: count }),
  windows: z.strictObject({
    count: count,
    windowTokens: count,
    strideTokens: count,
    /** The first of the ids put in place of the first of every window; null for none. */
    bosToken: count.nullable(),
    scored: z.enum(["all", "second-half"]),
  }),
  scoredTokens: count,
  model: ModelResult,
  reference: ModelResult.nullable(),
  divergence: DivergenceResult.nullable(),
  /** The reference against itself stored as bf16: differences below this mean nothing. Null when not measured. */
  noiseFloor: DivergenceResult.nullable(),
});
export type EvaluationResult = z.infer<typeof EvaluationResult>;
