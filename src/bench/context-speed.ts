import { z } from "zod";
import { throwIfAborted, UserError } from "../errors.ts";
import type { KvType } from "../model/kv-type.ts";
import type { WorkOptions } from "../progress.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import { BenchSequence } from "./sequence.ts";
import { Spread, spreadOf } from "./spread.ts";
import { kvBytesPerToken } from "./token-bytes.ts";

/** Speed of generation at the end of a long context beside that near its start, and what the bytes read let expect. */
export const ContextSpeed = z.strictObject({
  contextTokens: z.number().int().positive(),
  /** Tokens generated from each of the two positions. */
  generatedTokens: z.number().int().positive(),
  startPosition: z.number().int().positive(),
  startTokensPerSecond: Spread,
  endPosition: z.number().int().positive(),
  endTokensPerSecond: Spread,
  /** Weights, keys and values that a token reads there. */
  startBytesPerToken: z.number(),
  endBytesPerToken: z.number(),
  /** Bytes read a second at the end over those at the start: 1 where time is in proportion to bytes. */
  ofModel: z.number(),
});
export type ContextSpeed = z.infer<typeof ContextSpeed>;

export interface ContextSpeedOptions extends WorkOptions {
  readonly contextTokens: number;
  readonly generateTokens: number;
  readonly startPosition: number;
  readonly kvType: KvType;
  readonly repeats: number;
  readonly weightBytesPerToken: number;
  readonly now?: (() => number) | undefined;
}

/** Fills one sequence to near the end of the context and another to its start, then generates from both, turn about. */
export async function measureContextSpeed(executor: AnyExecutor, options: ContextSpeedOptions): Promise<ContextSpeed> {
  const { contextTokens, generateTokens, startPosition, kvType, signal } = options;
  const endPosition = contextTokens - generateTokens;
  if (endPosition <= startPosition) {
    const least = startPosition + generateTokens + 1;
    throw new UserError("BENCH", `context: expected at least ${least} tokens, found ${contextTokens}`);
  }
  const start = new BenchSequence(executor, startPosition + generateTokens, kvType);
  const end = new BenchSequence(executor, contextTokens, kvType);
  try {
    await start.fill(startPosition, { signal });
    await end.fill(endPosition, options);
    const speeds = await generateInTurns([start, end], executor, options);
    const bytesAt = (position: number) =>
      options.weightBytesPerToken + kvBytesPerToken(executor.spec, kvType, position + generateTokens / 2);
    const [startSpread, endSpread] = speeds.map((values) => spreadOf(values));
    const [startBytes, endBytes] = [bytesAt(startPosition), bytesAt(endPosition)];
    return {
      contextTokens,
      generatedTokens: generateTokens,
      startPosition,
      startTokensPerSecond: startSpread,
      endPosition,
      endTokensPerSecond: endSpread,
      startBytesPerToken: startBytes,
      endBytesPerToken: endBytes,
      ofModel: (endSpread.median * endBytes) / (startSpread.median * startBytes),
    };
  } finally {
    start.close();
    end.close();
  }
}

/** Tokens a second of each sequence, a round of both at a time; the first round is a warm-up. */
async function generateInTurns(
  sequences: readonly BenchSequence[],
  { spec }: AnyExecutor,
  { generateTokens, repeats, signal, onProgress, now = () => performance.now() }: ContextSpeedOptions,
): Promise<number[][]> {
  const logits = new Float32Array(spec.vocabSize);
  const speeds: number[][] = sequences.map(() => []);
  for (let i = 0; i <= repeats; i++) {
    for (const [s, sequence] of sequences.entries()) {
      throwIfAborted(signal);
      const started = now();
      await sequence.generate(generateTokens, logits);
      if (i > 0) speeds[s].push((generateTokens * 1000) / (now() - started));
    }
    onProgress?.({ stage: "generating in a long context", done: i, total: repeats });
  }
  return speeds;
}
