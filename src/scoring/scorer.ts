import { z } from "zod";
import { UserError } from "../errors.ts";
import { YamlCount } from "../formats/yaml-document.ts";
import type { WeightSource } from "../model/weight-source.ts";
import type { RowGroup } from "../passes/rows.ts";
import type { HiddenState } from "../passes/walk-blocks.ts";
import type { WorkOptions } from "../progress.ts";
import type { AnyExecutor, ExecutorFactory } from "../runtime/executor.ts";
import type { CodecMatrices } from "./rounded-source.ts";
import type { Losses, Scores } from "./scores.ts";

export type { RowGroup } from "../passes/rows.ts";
export type { HiddenState } from "../passes/walk-blocks.ts";

/** Losses that outlive an interrupted run. */
export interface KeptLosses {
  /** Measured before, under the same conditions: not measured again. */
  readonly saved: Losses;
  /** Takes all losses so far whenever some are finished. */
  keep(losses: Losses): void;
}

/** What every scorer is given. */
export interface ScorerContext extends WorkOptions {
  readonly source: WeightSource;
  /** Calibration sequences, as many as this scorer wants. */
  readonly sequences: readonly Int32Array[];
  /** Candidate codecs of the blocks. */
  readonly codecs: readonly string[];
  /** Candidate codecs of embedding and output head. */
  readonly embeddingCodecs: readonly string[];
  /** Makes a streamed executor. */
  readonly createExecutor: ExecutorFactory;
  /** The matrices at these codecs. */
  readonly matrices: CodecMatrices;
  readonly kept: KeptLosses;
}

/** The numbers of a scorer, and the options they depend on. */
export interface ScoreFigures {
  readonly options: Record<string, unknown>;
  readonly importance: number[] | null;
  readonly losses: Losses | null;
  readonly details?: Scores["details"];
  readonly fit?: Scores["fit"];
}

/** One block run on one group, by the original weights. */
export interface BlockStep {
  readonly block: number;
  readonly group: RowGroup;
  readonly input: HiddenState;
  readonly output: HiddenState;
}

/** Looks on while block after block runs, group after group. */
export interface BlockObserver {
  begin?(group: RowGroup, embedded: HiddenState): Promise<void>;
  step(step: BlockStep): Promise<void>;
  finish(): ScoreFigures;
  close?(): Promise<void>;
}

interface ScorerFacts {
  /** One line for help texts. */
  readonly summary: string;
  /** True when `losses` are measured, so that a plan's loss can be predicted. */
  readonly predictsLoss: boolean;
  /** Losses are divergences of the whole model's output, in nats: others that are measured so add to them. */
  readonly inNats?: true;
  /** Calibration that the scorer is meant for; it uses no more tokens than these unless its option `tokens` says so. */
  readonly defaultCalibration: { readonly sequences: number; readonly sequenceTokens: number };
  /** What its options may be, but for `tokens`. */
  readonly options: z.ZodObject;
  /** Of its options those that a single measured loss depends on, beside `tokens`; absent: it keeps no losses. */
  readonly lossOptions?: readonly string[] | undefined;
  /** Refuses options that ask for other codecs than those that there will be. Throws UserError `SCORER_OPTIONS`. */
  checkCodecs?(options: unknown, among: CodecLists): void;
}

/** Candidate codecs of the blocks, and of embedding and output head. */
export interface CodecLists {
  readonly codecs: readonly string[];
  readonly embeddingCodecs: readonly string[];
}

/** A scorer that needs each block's input and output only; all of them share one walk through the blocks. */
export interface BlockScorer extends ScorerFacts {
  readonly kind: "blocks";
  start(context: ScorerContext, executor: AnyExecutor, options: unknown): Promise<BlockObserver>;
}

/** A scorer that runs the model its own way. */
export interface ModelScorer extends ScorerFacts {
  readonly kind: "model";
  score(context: ScorerContext, executor: AnyExecutor, options: unknown): Promise<ScoreFigures>;
}

export type Scorer = BlockScorer | ModelScorer;

/** The option that every scorer takes: it uses the first so many calibration tokens. */
export const TokensOption = z.object({ tokens: YamlCount.optional() });

/** Checks a scorer's options; throws UserError naming the option. */
export function parseOptions<Schema extends z.ZodType>(
  scorer: string,
  schema: Schema,
  options: unknown,
): z.output<Schema> {
  const parsed = schema.safeParse(options ?? {});
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue.path.length > 0 ? `${issue.path.join(".")}: ` : "";
  throw new UserError("SCORER_OPTIONS", `scorer ${scorer}: options: ${where}${issue.message}`);
}
