import { z } from "zod";
import { mostLikely } from "../decoding/sampler.ts";
import { Session } from "../decoding/session.ts";
import { UserError } from "../errors.ts";
import type { WorkOptions } from "../progress.ts";
import type { AnyExecutor, KvType } from "../runtime/executor.ts";
import { Random } from "../tensor/random.ts";
import { describeMachine, Machine, peakRssBytes } from "./machine.ts";
import { Spread, spreadOf } from "./spread.ts";

/** One model, one executor: what `layerwise bench --json` prints. */
export const BenchResult = z.strictObject({
  model: z.string(),
  kind: z.enum(["artifact", "checkpoint"]),
  executor: z.strictObject({
    executor: z.enum(["tfjs", "native"]),
    backend: z.string(),
    reason: z.string(),
    threads: z.number().int().positive().nullable(),
    residency: z.enum(["packed", "resident", "streamed"]),
  }),
  kvType: z.enum(["f32", "f16"]),
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
  /** Opening the model and the very first run, warm-up or not, to its first token: what a user who starts cold waits. */
  coldFirstTokenMs: z.number(),
  /** Bytes of the weights as they are stored. */
  weightBytes: z.number().int().nonnegative(),
  /** Largest resident set of the process, loading included. */
  peakRssBytes: z.number().int().positive(),
  machine: Machine,
  date: z.iso.datetime(),
});
export type BenchResult = z.infer<typeof BenchResult>;

/** The document of `layerwise bench --json`. */
export const BenchDocument = z.strictObject({ results: z.array(BenchResult).min(1) });
export type BenchDocument = z.infer<typeof BenchDocument>;

export interface BenchOptions extends WorkOptions {
  readonly promptTokens: number;
  readonly generateTokens: number;
  readonly repeats: number;
  readonly warmupRuns: number;
  readonly contextTokens: number;
  readonly kvType: KvType;
  /** Milliseconds on a clock that never goes back. */
  readonly now?: (() => number) | undefined;
}

/** Figures that one benchmark measures itself. */
export interface Speeds {
  readonly promptTokensPerSecond: Spread;
  readonly generateTokensPerSecond: Spread;
  readonly firstTokenMs: Spread;
  /** First token of the very first run, warm-up or not. */
  readonly firstRunTokenMs: number;
}

/** Runs prompt and greedy generation `repeats` times after the warm-up. Throws UserError BENCH where the context is too short. */
export async function measureSpeeds(executor: AnyExecutor, options: BenchOptions): Promise<Speeds> {
  const { promptTokens, generateTokens, repeats, warmupRuns } = options;
  checkOptions(options);
  const random = new Random(0).fork("bench");
  const prompt = Int32Array.from({ length: promptTokens }, () => random.nextInt(executor.spec.vocabSize));
  const runs: Run[] = [];
  for (let i = 0; i < warmupRuns + repeats; i++) {
    runs.push(await runOnce(executor, prompt, options));
    options.onProgress?.({ stage: "measuring", done: i + 1, total: warmupRuns + repeats });
  }
  const measured = runs.slice(warmupRuns);
  return {
    promptTokensPerSecond: spreadOf(measured.map((run) => (promptTokens * 1000) / run.promptMs)),
    generateTokensPerSecond: spreadOf(measured.map((run) => ((generateTokens - 1) * 1000) / run.generateMs)),
    firstTokenMs: spreadOf(measured.map((run) => run.firstTokenMs)),
    firstRunTokenMs: runs[0].firstTokenMs,
  };
}

function checkOptions({ promptTokens, generateTokens, repeats, warmupRuns, contextTokens }: BenchOptions): void {
  const least = (name: string, value: number, minimum: number) => {
    if (Number.isInteger(value) && value >= minimum) return;
    const expected = Number.isInteger(value) ? `at least ${minimum}` : `a whole number from ${minimum} up`;
    throw new UserError("BENCH", `${name}: expected ${expected}, found ${value}`);
  };
  least("prompt-tokens", promptTokens, 1);
  least("generate-tokens", generateTokens, 2);
  least("repeats", repeats, 1);
  least("warmup", warmupRuns, 0);
  if (promptTokens + generateTokens <= contextTokens) return;
  const message = `${promptTokens} prompt and ${generateTokens} generated tokens: the context is ${contextTokens} tokens`;
  throw new UserError("BENCH", message, "ask for fewer with --prompt-tokens and --generate-tokens");
}

interface Run {
  readonly promptMs: number;
  readonly firstTokenMs: number;
  readonly generateMs: number;
}

async function runOnce(executor: AnyExecutor, prompt: Int32Array, options: BenchOptions): Promise<Run> {
  const now = options.now ?? (() => performance.now());
  const { contextTokens, kvType, signal } = options;
  const session = new Session(executor, { contextTokens, kvType });
  try {
    const started = now();
    let logits = await session.feed(prompt, { signal });
    const promptMs = now() - started;
    let id = mostLikely(logits);
    const firstTokenMs = now() - started;
    for (let i = 1; i < options.generateTokens; i++) {
      logits = await session.feed([id], { signal });
      id = mostLikely(logits);
    }
    return { promptMs, firstTokenMs, generateMs: now() - started - firstTokenMs };
  } finally {
    session.close();
  }
}

/** The facts about the opened model that a result states. */
export type BenchSubject = Pick<BenchResult, "model" | "kind" | "executor" | "loadMs" | "weightBytes">;

/** Measures and completes a result: machine, date and peak RSS are those of this process, now. */
export async function benchmark(
  executor: AnyExecutor,
  subject: BenchSubject,
  options: BenchOptions,
): Promise<BenchResult> {
  const { firstRunTokenMs, ...speeds } = await measureSpeeds(executor, options);
  const { kvType, promptTokens, generateTokens, warmupRuns } = options;
  return {
    ...subject,
    kvType,
    promptTokens,
    generateTokens,
    warmupRuns,
    ...speeds,
    coldFirstTokenMs: subject.loadMs + firstRunTokenMs,
    peakRssBytes: peakRssBytes(),
    machine: describeMachine(),
    date: new Date().toISOString(),
  };
}
