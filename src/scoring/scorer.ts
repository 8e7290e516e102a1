import { z } from "zod";
import { UserError } from "../errors.ts";
import type { DenseMatrix, Matrix, WeightSource } from "../model/weight-source.ts";
import type { RowGroup } from "../passes/rows.ts";
import type { HiddenState } from "../passes/walk-blocks.ts";
import type { WorkOptions } from "../progress.ts";
import type { AnyExecutor, ExecutorFactory } from "../runtime/executor.ts";
import type { MatrixAt } from "./kl/variant-source.ts";
import type { Losses, Scores } from "./scores.ts";

export type { RowGroup } from "../passes/rows.ts";
export type { HiddenState } from "../passes/walk-blocks.ts";

/** Gives a matrix as a codec would store it; null leaves it as it is. `packWith(codec, quantizer)` makes one. */
export type Rounding = (id: string, matrix: DenseMatrix) => Matrix | null | Promise<Matrix | null>;

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
  readonly rounding: (codec: string) => Rounding;
  /** A whole matrix at a codec, as a library holds it; default: the source's, by `rounding`. */
  readonly matrixAt?: MatrixAt | undefined;
  /**
   * Error of a matrix at a codec that its loss is taken to follow, as a library has it; null: unknown. Default, and for matrices with
   * an unknown one: squared difference of weights.
   */
  readonly errorOf?: ((id: string, codec: string) => Promise<number | null>) | undefined;
  /** Losses of an interrupted run; what is in it is not measured again. */
  readonly saved?: Losses | undefined;
  /** Called with all losses so far whenever some are finished. */
  readonly onPartial?: ((losses: Losses) => void) | undefined;
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
  /** Calibration that the scorer is meant for; it uses no more tokens than these unless its option `tokens` says so. */
  readonly defaultCalibration: { readonly sequences: number; readonly sequenceTokens: number };
  /** What its options may be, but for `tokens`. */
  readonly options: z.ZodObject;
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
export const TokensOption = z.object({ tokens: z.number().int().positive().optional() });

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
