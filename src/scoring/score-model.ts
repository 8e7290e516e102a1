import type { Calibration } from "../calibration/calibration.ts";
import { limitTokens } from "../calibration/sequences.ts";
import { UserError } from "../errors.ts";
import type { WeightSource } from "../model/weight-source.ts";
import type { WorkOptions } from "../progress.ts";
import type { AnyExecutor, ExecutorFactory } from "../runtime/executor.ts";
import { SCORERS, type ScorerId } from "./index.ts";
import { observeBlocks } from "./observe-blocks.ts";
import type { CodecMatrices } from "./rounded-source.ts";
import {
  type BlockObserver,
  type KeptLosses,
  parseOptions,
  type ScoreFigures,
  type ScorerContext,
  TokensOption,
} from "./scorer.ts";
import type { Scores } from "./scores.ts";

/** What any number of scorers need. */
export interface ScoreInputs extends WorkOptions {
  readonly source: WeightSource;
  readonly checkpointId: string;
  readonly calibration: Calibration;
  /** Candidate codecs of the blocks, for scorers that measure losses. */
  readonly codecs: readonly string[];
  /** Candidate codecs of embedding and output head; default: `codecs`. */
  readonly embeddingCodecs?: readonly string[] | undefined;
  /** Makes a streamed executor over any weight source. */
  readonly createExecutor: ExecutorFactory;
  /** What matrices become at the codecs. */
  readonly matrices: CodecMatrices;
  /** Default: nothing is saved, and nothing kept. */
  readonly kept?: KeptLosses | undefined;
}

/** A scorer and its options. Every scorer also takes `tokens`: it uses the first so many calibration tokens. */
export interface ScorerChoice {
  readonly scorer: ScorerId;
  readonly options?: Readonly<Record<string, unknown>> | undefined;
}

/** A choice with `tokens` taken out of its options. */
interface Job {
  readonly scorer: ScorerId;
  readonly options: Readonly<Record<string, unknown>>;
  readonly sequences: readonly Int32Array[];
  readonly tokens: number;
}

/** Scores a model by one scorer. Throws UserError on bad options or an empty calibration set. */
export async function scoreModel(inputs: ScoreInputs & ScorerChoice): Promise<Scores> {
  const [scores] = await scoreModels(inputs, [{ scorer: inputs.scorer, options: inputs.options }]);
  return scores;
}

/** Scores a model by several scorers, in the order of `choices`; those that only look at blocks share one walk. */
export async function scoreModels(inputs: ScoreInputs, choices: readonly ScorerChoice[]): Promise<Scores[]> {
  const jobs = choices.map((choice) => makeJob(inputs.calibration, choice));
  const executor = await inputs.createExecutor(inputs.source);
  try {
    const figures = await watchBlocks(inputs, jobs, executor);
    for (const job of jobs) {
      const scorer = SCORERS[job.scorer];
      if (scorer.kind === "model") figures.set(job, await scorer.score(contextOf(inputs, job), executor, job.options));
    }
    return jobs.flatMap((job) => {
      const found = figures.get(job);
      return found ? [makeScores(inputs, job, found)] : [];
    });
  } finally {
    await executor.dispose();
  }
}

/** One walk for all jobs that want the same number of tokens (by default they do). */
async function watchBlocks(
  inputs: ScoreInputs,
  jobs: readonly Job[],
  executor: AnyExecutor,
): Promise<Map<Job, ScoreFigures>> {
  const figures = new Map<Job, ScoreFigures>();
  const waiting = jobs.filter((job) => SCORERS[job.scorer].kind === "blocks");
  for (const tokens of new Set(waiting.map((job) => job.tokens))) {
    const sharing = waiting.filter((job) => job.tokens === tokens);
    const observers = new Map<Job, BlockObserver>();
    try {
      for (const job of sharing) {
        const scorer = SCORERS[job.scorer];
        if (scorer.kind !== "blocks") continue;
        observers.set(job, await scorer.start(contextOf(inputs, job), executor, job.options));
      }
      const { onProgress, signal } = inputs;
      const stage = `scoring ${sharing.map((job) => job.scorer).join(", ")}`;
      await observeBlocks(executor, sharing[0].sequences, [...observers.values()], { stage, onProgress, signal });
      for (const [job, observer] of observers) figures.set(job, observer.finish());
    } finally {
      for (const observer of observers.values()) await observer.close?.();
    }
  }
  return figures;
}

function makeJob(calibration: Calibration, { scorer, options = {} }: ScorerChoice): Job {
  const { tokens: wanted } = parseOptions(scorer, TokensOption, options);
  const { sequences: count, sequenceTokens } = SCORERS[scorer].defaultCalibration;
  const sequences = limitTokens(calibration.sequences, wanted ?? count * sequenceTokens);
  const tokens = sequences.reduce((sum, sequence) => sum + sequence.length, 0);
  if (tokens === 0) {
    throw new UserError("CALIBRATION_EMPTY", "calibration: expected at least one token, found none");
  }
  const { tokens: _, ...rest } = options;
  return { scorer, options: rest, sequences, tokens };
}

function contextOf(inputs: ScoreInputs, job: Job): ScorerContext {
  const { codecs, embeddingCodecs = codecs, kept = { saved: {}, keep: () => {} } } = inputs;
  return { ...inputs, embeddingCodecs, kept, sequences: job.sequences };
}

function makeScores(inputs: ScoreInputs, job: Job, figures: ScoreFigures): Scores {
  return {
    formatVersion: 1,
    scorer: job.scorer,
    options: { ...figures.options, sequences: job.sequences.length },
    checkpointId: inputs.checkpointId,
    calibrationId: inputs.calibration.id,
    tokens: job.tokens,
    importance: figures.importance,
    losses: figures.losses,
    ...(figures.details ? { details: figures.details } : {}),
    ...(figures.fit ? { fit: figures.fit } : {}),
  };
}
