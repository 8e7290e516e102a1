import type { Maths } from "../maths/maths.ts";
import type { DecoderSpec, NormSpec } from "../model/decoder-spec.ts";
import type { KvType } from "../model/kv-type.ts";
import type { BlockRole } from "../model/matrix-id.ts";
import type { Matrix, WeightSource } from "../model/weight-source.ts";
import type { ExecutorInfo } from "./executor-info.ts";

export type { KvType } from "../model/kv-type.ts";
export type { ActivationType, ExecutorInfo, Residency } from "./executor-info.ts";

/**
 * Keys and values of one sequence, block by block. Lengths are per block: a drafter may have run only the first blocks.
 * Made of 64-position pages; a fork shares full pages; a sliding window keeps window + 64 positions.
 */
export interface KvCache {
  readonly kvType: KvType;
  readonly maxTokens: number;
  /** Positions held by a block. */
  length(block: number): number;
  /** Forgets positions >= length in blocks >= fromBlock (default: all). */
  truncate(length: number, fromBlock?: number): void;
  /** An independent cache with the same contents; full pages are shared. */
  fork(): KvCache;
  /**
   * Length that the sequence will reach in this regime: longrope models pick their factors by it (beyond
   * originalMaxPositions ALL positions use the long factors). May be changed only while the cache is empty or if the
   * regime stays the same; otherwise throws, and the caller truncates to 0 and feeds the sequence anew.
   */
  reserve(totalTokens: number): void;
  /** True when `reserve(totalTokens)` would need a rebuild. */
  needsRebuild(totalTokens: number): boolean;
  dispose(): void;
}

/**
 * Consecutive rows of one sequence: positions [position, position + count). With a cache the rows attend to everything
 * in it before them, and in every block run the cache must hold exactly `position` positions; without one (null)
 * the span starts at position 0 and is a whole sequence of its own, in f32.
 */
export interface RowSpan {
  readonly cache: KvCache | null;
  readonly position: number;
  readonly count: number;
}

/** Parts of blocks to leave out (the residual stream passes unchanged): one flag per attention and per MLP. */
export interface SkipSet {
  readonly attention: readonly boolean[];
  readonly mlp: readonly boolean[];
}

/** The rows that some matrices of a block are multiplied with, in f32, before any rounding of activations. */
export interface MatrixInput {
  readonly block: number;
  /** Ids of the matrices that take it, in execution order. */
  readonly matrices: readonly string[];
  readonly rows: number;
  readonly cols: number;
  /** [rows, cols], the rows of the pass in order. */
  readonly data: Float32Array;
}

/** Sees each distinct input of a block's matrices once; `data` is its to read until it returns, or its promise resolves. */
export type InputObserver = (input: MatrixInput) => void | Promise<void>;

export interface RunBlocksOptions {
  /** Shown the inputs of every block run, block after block (shared ones once, see model/matrix-inputs.ts). */
  readonly inputs?: InputObserver | undefined;
  readonly skip?: SkipSet | undefined;
  /** A set of low-rank additions that `loadAdapter` has loaded under this name. */
  readonly adapter?: string | undefined;
  /**
   * Stops the pass between blocks; it then throws Interrupted, and blocks that were run hold their rows in the caches: the caller
   * truncates them.
   */
  readonly signal?: AbortSignal | undefined;
  /** Also gives the output head's logits of these rows of the result: one call less for every token. */
  readonly logits?: { readonly rows: Int32Array /** [rows, vocabSize] */; readonly into: Float32Array } | undefined;
  /** Also gives what a head says of these rows of the result, in the same way. */
  readonly answers?: { readonly head: string; readonly rows: Int32Array; readonly into: HeadAnswers } | undefined;
}

/** A low-rank addition to one matrix: y += factor * B (A x), computed in f32 beside the packed product. */
export interface LowRankPart {
  readonly block: number;
  readonly role: BlockRole;
  readonly rank: number;
  /** [rank, cols of the matrix] */
  readonly a: Float32Array;
  /** [rows of the matrix, rank] */
  readonly b: Float32Array;
  readonly factor: number;
}

/**
 * An exit head: a norm (null: none), maybe a low-rank residual, then a matrix [ids, hiddenSize] over the vocabulary or a subset of its
 * ids, and maybe one more logit.
 */
export interface ExitHead {
  readonly norm: ExitNorm | null;
  readonly adapter: ExitAdapter | null;
  readonly matrix: Matrix;
  /** [ids] */
  readonly bias: Float32Array | null;
  readonly tail: ExitTail | null;
}

/** A low-rank residual on the normed rows: x + up(silu(down(x))), in f32. */
export interface ExitAdapter {
  readonly rank: number;
  /** [rank, hiddenSize] */
  readonly down: Matrix;
  /** [hiddenSize, rank] */
  readonly up: Matrix;
}

/** The last logit of a head over some ids: that the answer is none of them. */
export interface ExitTail {
  /** [hiddenSize] */
  readonly weight: Float32Array;
  readonly bias: number;
}

export interface ExitNorm {
  readonly spec: NormSpec;
  readonly weight: Float32Array;
  /** Layer norm only. */
  readonly bias: Float32Array | null;
}

/** What a head says of each row, [rows] each: its answer and three measures of how sure it is, over all of the row's logits. */
export interface HeadAnswers {
  /** Index of the largest logit, of equal ones the lowest: a row of the head's matrix, or the number of them where its tail wins. */
  readonly best: Int32Array;
  /** In nats. */
  readonly entropy: Float32Array;
  readonly maxProbability: Float32Array;
  /** Largest probability minus the second largest. */
  readonly margin: Float32Array;
}

export interface AnswersOptions {
  /** `output`, or an exit head that `loadHead` has loaded under this name. */
  readonly head: string;
  /** Written and returned in place of new arrays; each has room for the rows, and may have more. */
  readonly into?: HeadAnswers | undefined;
}

export interface LogitsOptions {
  /** False leaves the norm out: the rows are taken as normed ones. */
  readonly norm?: boolean | undefined;
  /** An exit head that `loadHead` has loaded under this name; default: the output head. */
  readonly head?: string | undefined;
  /** Written and returned in place of a new array, where its length is that of the result. */
  readonly into?: Float32Array | undefined;
}

/**
 * Runs a decoder. `Hidden` is the executor's own kind of buffer ([rows, hiddenSize], f32); the caller owns what it gets
 * and releases it with `release`. Rows of several sequences may share one call.
 */
export interface Executor<Hidden = unknown> {
  readonly spec: DecoderSpec;
  readonly info: ExecutorInfo;
  /**
   * Maths on the executor's own threads, for work on what it gives (comparing logits): the waiting threads of a second engine would
   * slow its own.
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
   * Logits [rows, vocabSize] of the given rows (default: all): final norm, then output head; or an exit head, [rows, its ids] and its
   * tail's last where it has one.
   */
  logits(hidden: Hidden, rows?: Int32Array, options?: LogitsOptions): Promise<Float32Array>;
  /**
   * What a head says of the given rows: `best` is exactly that of the logits, which are not given out. Throws where a logit is not a
   * finite number.
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
