import type { Artifact } from "../artifact/reader.ts";
import { Session } from "../decoding/session.ts";
import { UserError } from "../errors.ts";
import { checkContextLength } from "../model/context-length.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import type { KvType } from "../model/kv-type.ts";
import type { WorkOptions } from "../progress.ts";
import { optionsOf } from "../runtime/create-executor.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import type { BandwidthUse, BenchResult } from "./bench-result.ts";
import { measureContextSpeed } from "./context-speed.ts";
import { describeMachine, peakRssBytes } from "./machine.ts";
import { measureOpening } from "./opening.ts";
import { measurePassCosts } from "./pass-costs.ts";
import { readBandwidth } from "./read-bandwidth.ts";
import { randomIds } from "./sequence.ts";
import { type Spread, spreadOf } from "./spread.ts";
import { kvBytesPerToken, weightBytesPerToken } from "./token-bytes.ts";

export interface BenchOptions extends WorkOptions {
  readonly promptTokens: number;
  readonly generateTokens: number;
  readonly repeats: number;
  readonly warmupRuns: number;
  readonly contextTokens: number;
  readonly kvType: KvType;
  /** Rows of the prompt that pass through the blocks at a time; default: a session's. */
  readonly promptChunk?: number | undefined;
  /** Further measurements; null or absent: left out. */
  readonly passRows?: readonly number[] | null | undefined;
  /** Length of the context at whose end the speed is measured. */
  readonly longContextTokens?: number | null | undefined;
  readonly opening?: boolean | undefined;
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

/**
 * Runs prompt and greedy generation `repeats` times after the warm-up. Throws UserError BENCH where the context is too
 * short.
 */
export async function measureSpeeds(executor: AnyExecutor, options: BenchOptions): Promise<Speeds> {
  const { promptTokens, generateTokens, repeats, warmupRuns } = options;
  checkOptions(options, executor.spec);
  const prompt = randomIds(executor.spec, promptTokens, "bench");
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

function checkOptions(options: BenchOptions, spec: DecoderSpec): void {
  const { promptTokens, generateTokens, repeats, warmupRuns, contextTokens, longContextTokens } = options;
  const least = (name: string, value: number, minimum: number) => {
    if (Number.isInteger(value) && value >= minimum) return;
    const expected = Number.isInteger(value) ? `at least ${minimum}` : `a whole number from ${minimum} up`;
    throw new UserError("BENCH", `${name}: expected ${expected}, found ${value}`);
  };
  least("prompt-tokens", promptTokens, 1);
  least("generate-tokens", generateTokens, 2);
  least("repeats", repeats, 1);
  least("warmup", warmupRuns, 0);
  if (longContextTokens) checkContextLength(spec, longContextTokens);
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
  const { contextTokens, kvType, promptChunk, signal } = options;
  const session = new Session(executor, { contextTokens, kvType, promptChunk });
  try {
    const started = now();
    // As plain decoding does it.
    const output = await session.feedFor("best", prompt, { signal });
    const promptMs = now() - started;
    let id = output.best(0);
    const firstTokenMs = now() - started;
    for (let i = 1; i < options.generateTokens; i++) {
      id = (await session.feedFor("best", [id], { signal })).best(0);
    }
    return { promptMs, firstTokenMs, generateMs: now() - started - firstTokenMs };
  } finally {
    session.close();
  }
}

/** The facts about the opened model that a result states. */
export type BenchSubject = Pick<BenchResult, "model" | "kind" | "adapter" | "executor" | "loadMs" | "weightBytes">;

/**
 * Measures and completes a result: machine, date and peak RSS are those of this process, now. `artifact`: what the
 * executor runs on; null for a checkpoint.
 */
export async function benchmark(
  executor: AnyExecutor,
  subject: BenchSubject,
  options: BenchOptions,
  artifact: Artifact | null = null,
): Promise<BenchResult> {
  if ((options.longContextTokens || options.opening) && !artifact) {
    throw new UserError("BENCH", "--context and --opening: expected an artifact, found a checkpoint");
  }
  const { firstRunTokenMs, ...speeds } = await measureSpeeds(executor, options);
  // Before everything that takes memory of its own.
  const peak = peakRssBytes();
  const { kvType, promptTokens, generateTokens, warmupRuns } = options;
  return {
    ...subject,
    kvType,
    promptTokens,
    generateTokens,
    warmupRuns,
    ...speeds,
    coldFirstTokenMs: subject.loadMs + firstRunTokenMs,
    kvBytes: kvBytesPerToken(executor.spec, kvType, promptTokens + generateTokens),
    peakRssBytes: peak,
    bandwidth: artifact && (await bandwidthUse(executor, artifact, speeds.generateTokensPerSecond.median, options)),
    ...(await furtherMeasurements(executor, artifact, options)),
    machine: describeMachine(),
    date: new Date().toISOString(),
  };
}

async function bandwidthUse(
  { info, spec }: AnyExecutor,
  artifact: Artifact,
  tokensPerSecond: number,
  { kvType, promptTokens, generateTokens }: BenchOptions,
): Promise<BandwidthUse | null> {
  const bytesPerSecond = await readBandwidth(info);
  if (bytesPerSecond === null) return null;
  const weights = weightBytesOf(artifact);
  const kv = kvBytesPerToken(spec, kvType, promptTokens + generateTokens / 2);
  return {
    bytesPerSecond,
    weightBytesPerToken: weights,
    kvBytesPerToken: kv,
    fraction: ((weights + kv) * tokensPerSecond) / bytesPerSecond,
  };
}

/** Bytes of weights that a token reads. */
function weightBytesOf({ spec, manifest }: Artifact): number {
  return weightBytesPerToken(spec, new Map(manifest.plan.units.map(({ id, bytes }) => [id, bytes])));
}

/** What was asked for beside the speeds; null where it was not. */
async function furtherMeasurements(
  executor: AnyExecutor,
  artifact: Artifact | null,
  options: BenchOptions,
): Promise<Pick<BenchResult, "openingMs" | "passes" | "longContext">> {
  const { passRows, longContextTokens, opening, promptTokens: position, contextTokens, generateTokens } = options;
  return {
    openingMs: artifact && opening ? await measureOpening(artifact.label, optionsOf(executor.info), options) : null,
    passes: passRows
      ? await measurePassCosts(executor, artifact, { ...options, rows: passRows, position, contextTokens })
      : null,
    longContext:
      artifact && longContextTokens
        ? await measureContextSpeed(executor, {
            ...options,
            contextTokens: longContextTokens,
            generateTokens,
            startPosition: position,
            weightBytesPerToken: weightBytesOf(artifact),
          })
        : null,
  };
}
