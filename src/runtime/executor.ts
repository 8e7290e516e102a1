import type { Maths } from "../maths/maths.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import type { KvType } from "../model/kv-type.ts";
import type { LowRankPart } from "../model/low-rank.ts";
import type { SkippedParts } from "../model/matrix-inputs.ts";
import type { WeightSource } from "../model/weight-source.ts";
import type { ExecutorInfo } from "./executor-info.ts";
import type { AnswersOptions, HeadAnswers } from "./head-answers.ts";
import type { ExitHead, LogitsOptions } from "./heads.ts";
import type { InputObserver } from "./input-capture.ts";
import type { KvCache, RowSpan } from "./kv-cache.ts";

/** Parts of blocks to leave out (the residual stream passes unchanged): one flag per attention and per MLP. */
export interface SkipSet {
  readonly attention: readonly boolean[];
  readonly mlp: readonly boolean[];
}

/** What of one block a set leaves out. */
export function skippedAt(skip: SkipSet | undefined, block: number): SkippedParts {
  return { attention: skip?.attention[block] ?? false, mlp: skip?.mlp[block] ?? false };
}

export interface RunBlocksOptions {
  /** Shown the inputs of every block run, block after block (shared ones once, see model/matrix-inputs.ts). */
  readonly inputs?: InputObserver | undefined;
  readonly skip?: SkipSet | undefined;
  /** A set of low-rank additions that `loadAdapter` has loaded under this name, beside those of the source itself. */
  readonly adapter?: string | undefined;
  /**
   * Stops the pass between blocks; it then throws Interrupted, and blocks that were run hold their rows in the caches:
   * the caller truncates them.
   */
  readonly signal?: AbortSignal | undefined;
  /** Also gives the output head's logits of these rows of the result: one call less for every token. */
  readonly logits?: { readonly rows: Int32Array /** [rows, vocabSize] */; readonly into: Float32Array } | undefined;
  /** Also gives what a head says of these rows of the result, in the same way. */
  readonly answers?: { readonly head: string; readonly rows: Int32Array; readonly into: HeadAnswers } | undefined;
}

/**
 * Runs a decoder. `Hidden` is the executor's own kind of buffer ([rows, hiddenSize], f32); the caller owns what it gets
 * and releases it with `release`. Rows of several sequences may share one call.
 */
export interface Executor<Hidden = unknown> {
  readonly spec: DecoderSpec;
  readonly info: ExecutorInfo;
  /**
   * Maths on the executor's own threads, for work on what it gives (comparing logits): the waiting threads of a second
   * engine would slow its own.
   */
  readonly maths: Maths;
  createCache(options: { maxTokens: number; kvType?: KvType }): KvCache;
  /** hidden[0] of the ids: [ids.length, hiddenSize]. */
  embed(ids: Int32Array): Promise<Hidden>;
  /** Runs blocks [from, to) on all rows; the input is left as it is. `spans` cover the rows in order. */
  runBlocks(
    hidden: Hidden,
    from: number,
    to: number,
    spans: readonly RowSpan[],
    options?: RunBlocksOptions,
  ): Promise<Hidden>;
  /**
   * Logits [rows, vocabSize] of the given rows (default: all): final norm, then output head; or an exit head, [rows,
   * its ids] and its tail's last where it has one.
   */
  logits(hidden: Hidden, rows?: Int32Array, options?: LogitsOptions): Promise<Float32Array>;
  /**
   * What a head says of the given rows: `best` is exactly that of the logits, which are not given out. Throws where a
   * logit is not a finite number.
   */
  answers(hidden: Hidden, rows: Int32Array, options: AnswersOptions): Promise<HeadAnswers>;
  /** Makes additions known under a name, in place of those that had it. Throws where a part does not fit its matrix. */
  loadAdapter(name: string, parts: readonly LowRankPart[]): Promise<void>;
  /** Makes an exit head known under a name, in place of the one that had it; `output` is the output head's own. */
  loadHead(name: string, head: ExitHead): Promise<void>;
  /** Copies a hidden state out: [rows, hiddenSize]. */
  read(hidden: Hidden): Promise<Float32Array>;
  /** A hidden state from numbers: data is [rows, hiddenSize]. */
  write(data: Float32Array, rows: number): Hidden;
  /** Rows [from, to) as a new hidden state. */
  slice(hidden: Hidden, from: number, to: number): Hidden;
  /** The rows of several hidden states one after the other, as a new one; the parts are left as they are. */
  stack(parts: readonly Hidden[]): Hidden;
  release(hidden: Hidden): void;
  dispose(): Promise<void>;
}

/** An executor whose kind of hidden state the caller need not know. */
// biome-ignore lint/suspicious/noExplicitAny: Hidden is opaque and occurs in both directions; unknown would not unify.
export type AnyExecutor = Executor<any>;

/** Makes an executor over any weight source; offline stages take one and so do not depend on a kind of executor. */
export type ExecutorFactory = (source: WeightSource) => Promise<AnyExecutor>;
