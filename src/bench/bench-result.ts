import { z } from "zod";
import { KvType } from "../model/kv-type.ts";
import { ExecutorInfo } from "../runtime/executor-info.ts";
import { ContextSpeed } from "./context-speed.ts";
import { Machine } from "./machine.ts";
import { PassCosts } from "./pass-costs.ts";
import { Spread } from "./spread.ts";

/** How near generation comes to the speed at which memory is read. */
const BandwidthUse = z.strictObject({
  /** What as many threads read of this machine's memory, measured in this run. */
  bytesPerSecond: z.number().positive(),
  /** Blocks, output head, norms and biases; keys and values of the middle one of the tokens generated. */
  weightBytesPerToken: z.number(),
  kvBytesPerToken: z.number(),
  /** Bytes read a token x generated tokens/s over bytesPerSecond. */
  fraction: z.number(),
});
export type BandwidthUse = z.infer<typeof BandwidthUse>;

/** One model, one executor: what `layerwise bench --json` prints. */
export const BenchResult = z.strictObject({
  model: z.string(),
  kind: z.enum(["artifact", "checkpoint"]),
  /** Folder of the adapter that was added beside the weights; null: none. */
  adapter: z.string().nullable().default(null),
  executor: ExecutorInfo,
  kvType: KvType,
  promptTokens: z.number().int().positive(),
  generateTokens: z.number().int().positive(),
  warmupRuns: z.number().int().nonnegative(),
  /** Prompt tokens over the time until their logits. */
  promptTokensPerSecond: Spread,
  /** Tokens after the first over the time that they took. */
  generateTokensPerSecond: Spread,
  /** From the prompt to the first chosen token. */
  firstTokenMs: Spread,
  /** Opening the model; its weights may be read as late as in the first run. */
  loadMs: z.number(),
  /**
   * Opening the model and the very first run, warm-up or not, to its first token: what a user who starts cold waits.
   */
  coldFirstTokenMs: z.number(),
  /** Bytes of the weights as they are stored. */
  weightBytes: z.number().int().nonnegative(),
  /** Keys and values of a run's tokens. */
  kvBytes: z.number().int().nonnegative(),
  /** Largest resident set of the process up to here, loading included. */
  peakRssBytes: z.number().int().positive(),
  /** Null for checkpoints, and without the addon, which measures the bandwidth. */
  bandwidth: BandwidthUse.nullable(),
  /**
   * From openArtifact() in the running process to the first token of a 16-token prompt, tokenizer apart; ms. On
   * request.
   */
  openingMs: Spread.nullable(),
  /** On request. */
  passes: PassCosts.nullable(),
  /** On request. */
  longContext: ContextSpeed.nullable(),
  machine: Machine,
  date: z.iso.datetime(),
});
export type BenchResult = z.infer<typeof BenchResult>;

/** The document of `layerwise bench --json`. */
export const BenchDocument = z.strictObject({ results: z.array(BenchResult).min(1) });
export type BenchDocument = z.infer<typeof BenchDocument>;
