import type { NativeCodecForm } from "./codec-form.ts";
import type { NativeOffline } from "./offline-maths.ts";
import type { NativeStreamedPart, NativeStreamState } from "./streamed-parts.ts";

/**
 * What the native addon exports, as TypeScript sees it. The glue in addon/ checks every argument: a wrong type, length,
 * offset or range throws a TypeError or RangeError that names the argument, before any kernel runs. Arrays passed to an
 * asynchronous call must not be written until it settles; the addon keeps them alive.
 */
export interface NativeAddon {
  /** Every instruction-set table that was compiled in, slowest first. */
  readonly isas: readonly NativeIsa[];
  /** Matrices of a block, as the engine knows them. */
  readonly roles: readonly string[];
  /** Names of the fields that the glue reads of each type: a test holds them against these types. */
  readonly fields: Readonly<Record<string, readonly string[]>>;
  /** Physical cores that the process may use, by its affinity and by quotas of control groups. */
  readonly physicalCores: number;
  /** Version of the package that the addon was built for; another one is refused by the loader. */
  readonly version: string;

  /**
   * Maps [offset, offset + length) of a file privately (a write does not reach the file); offset is a multiple of 4096.
   * Pages are read when touched. Throws an Error with `code` (`ENOENT`, …) where the system refuses, `ESHORT` where the
   * file is shorter.
   */
  mapFile(path: string, offset: number, length: number): ArrayBuffer;
  /**
   * The same read into memory of the process, past the system's cache; the buffer may be longer than what was asked
   * for.
   */
  readFile(path: string, offset: number, length: number): ArrayBuffer;
  /** Zeroed memory from a multiple of 64 bytes, of 4096 where it has as many; see aligned.ts. */
  alignedBytes(length: number): ArrayBuffer;
  /** Whether bytes begin at a multiple of 64. */
  isAligned(bytes: Uint8Array): boolean;
  /** Whether the file that bytes of mapFile lie in was cut short since: what is gone of it reads as zeros. */
  isTorn(bytes: Uint8Array): boolean;
  /** Whether bytes are aligned and lie in memory of mapFile or alignedBytes: what a model takes by reference. */
  isKept(bytes: Uint8Array): boolean;
  /** Bytes of a packed matrix: the twin of Codec.packedBytes. */
  packedBytes(form: NativeCodecForm, rows: number, cols: number): number;

  /**
   * From now on SIGINT and SIGTERM end the process with that status `graceMs` after the first of them, or at once with
   * the second, whatever JavaScript is busy with; the message goes to standard error. Listeners that are there are
   * called too. Once a process.
   */
  endAfterSignals(graceMs: number, interruptStatus: number, terminateStatus: number, message: string): void;

  /**
   * A pool of threads with one instruction-set table. Free it with `dispose()`; forgotten ones are freed by the
   * collector.
   */
  createEngine(options: { isa: string; threads: number }): NativeEngine;
}

export interface NativeIsa {
  readonly name: string;
  /** Null where this machine runs it, else what is missing. */
  readonly unavailable: string | null;
}

/** A packed matrix: `bytes` is used in place and must be 64-byte aligned (see alignedBytes in native/aligned.ts). */
export interface NativeMatrix extends NativeCodecForm {
  readonly rows: number;
  readonly cols: number;
  readonly bytes: Uint8Array;
}

export interface NativeLinear {
  readonly matrix: NativeMatrix;
  readonly bias: Float32Array | null;
}

export interface NativeNorm {
  readonly kind: "rms" | "layer";
  readonly eps: number;
  readonly weight: Float32Array;
  readonly bias: Float32Array | null;
}

export interface NativeRope {
  readonly dims: number;
  /** [dims / 2] */
  readonly inverseFrequencies: Float64Array;
  /** longrope: used for all positions of sequences longer than originalMaxPositions. */
  readonly longInverseFrequencies: Float64Array | null;
  readonly originalMaxPositions: number;
  readonly attentionFactor: number;
}

export interface NativeAttention {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly scale: number;
  /** 0: no window */
  readonly window: number;
  readonly rope: NativeRope | null;
  /** Over headDim or over all heads' channels. */
  readonly qNorm: NativeNorm | null;
  readonly kNorm: NativeNorm | null;
  readonly q: NativeLinear;
  readonly k: NativeLinear;
  readonly v: NativeLinear;
  readonly o: NativeLinear;
}

export interface NativeMlp {
  readonly activation: "silu" | "gelu-erf" | "gelu-tanh" | "relu";
  readonly gate: NativeLinear | null;
  readonly up: NativeLinear;
  readonly down: NativeLinear;
}

export interface NativeBlock {
  readonly parallel: boolean;
  /** The streamed part that its matrices lie in (NativeModel.setStream); absent: they stay. */
  readonly part?: number;
  /** On what attention and MLP add; absent: 1. */
  readonly residualFactor?: number;
  readonly attentionNorm: NativeNorm | null;
  /** Of what attention adds. */
  readonly attentionPostNorm?: NativeNorm | null;
  readonly attention: NativeAttention | null;
  readonly mlpNorm: NativeNorm | null;
  readonly mlpPostNorm?: NativeNorm | null;
  readonly mlp: NativeMlp | null;
}

/** x + up(silu(down(x))) on normed rows, in f32: down [rank, hiddenSize], up [hiddenSize, rank]. */
export interface NativeHeadAdapter {
  readonly down: NativeMatrix;
  readonly up: NativeMatrix;
}

export interface NativeHead {
  readonly norm: NativeNorm | null;
  readonly adapter?: NativeHeadAdapter | null;
  readonly linear: NativeLinear;
  /** One row in the f32 codec: the last logit. */
  readonly tail?: NativeLinear | null;
  /** The streamed part that the matrix of `linear` lies in; absent: it stays. */
  readonly part?: number;
}

export interface NativeLowRank {
  /** Of a float codec, [rank, cols] and [rows, rank]. */
  readonly a: NativeMatrix;
  readonly b: NativeMatrix;
  readonly factor: number;
}

export interface NativeEngine {
  readonly isa: string;
  readonly threads: number;
  /** Kv shapes and sizes of blocks are fixed here, weights come with setBlock. */
  createModel(shape: NativeModelShape): NativeModel;
  /** A workspace that runs passes; models may be shared by several. */
  createContext(options: { activations: "int8" | "f32" }): NativeContext;

  /** y [rows, w.rows] = x [rows, w.cols] W^T with f32 activations; synchronous, threaded. */
  product(w: NativeMatrix, x: Float32Array, y: Float32Array): void;
  /** dx [rows, w.cols] = dy [rows, w.rows] W; synchronous, threaded. */
  productTransposed(w: NativeMatrix, dy: Float32Array, dx: Float32Array): void;
  /** y = x W^T with activations quantized to int8; synchronous, threaded. Integer kinds only. */
  productInt8(w: NativeMatrix, x: Float32Array, y: Float32Array): void;

  /** Offline maths (offline/); each is asynchronous and threaded, results do not depend on the threads. */
  readonly offline: NativeOffline;

  /** Bytes per second at which all threads of the engine read `bytes` bytes of memory, best of a few passes. */
  readBandwidth(bytes: number): Promise<number>;
  dispose(): void;
  [Symbol.dispose](): void;
}

export interface NativeModelShape {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  /** Per block, for the KV cache: 0 heads where a block has no attention. */
  readonly blocks: readonly { readonly kvHeads: number; readonly headDim: number }[];
}

/** Weights by reference: every array given stays alive until it is replaced or the model is disposed of. */
export interface NativeModel {
  /**
   * Opens the files of parts that are read by a thread of their own, ahead of the passes: in this order at first, then
   * in that of the last passes. Once, before the blocks and heads that lie in them are set. A pass whose part cannot be
   * read fails; `streamState` says why.
   */
  setStream(parts: readonly NativeStreamedPart[]): void;
  /** Null where nothing is streamed. */
  streamState(): NativeStreamState | null;
  setEmbedding(matrix: NativeMatrix): void;
  setBlock(block: number, weights: NativeBlock): void;
  clearBlock(block: number): void;
  /** `output` is the output head. */
  setHead(name: string, head: NativeHead): void;
  /** Additions by block and role. */
  setAdapter(name: string, blocks: readonly { block: number; role: string; lowRank: NativeLowRank }[]): void;
  /** Rows of the embedding in f32; synchronous. */
  embed(ids: Int32Array, out: Float32Array): void;
  createCache(options: { maxTokens: number; kvType: "f32" | "f16" | "q8" }): NativeCache;
  dispose(): void;
  [Symbol.dispose](): void;
}

export interface NativeCache {
  length(block: number): number;
  truncate(length: number, fromBlock: number): void;
  fork(): NativeCache;
  byteLength(): number;
  setReserved(totalTokens: number): void;
  dispose(): void;
  [Symbol.dispose](): void;
}

export interface NativeSpan {
  readonly cache: NativeCache | null;
  readonly position: number;
  readonly count: number;
}

export interface NativePass {
  readonly input: Float32Array;
  /** May be `input` itself. */
  readonly output: Float32Array;
  readonly rows: number;
  readonly from: number;
  readonly to: number;
  readonly spans: readonly NativeSpan[];
  /** One flag a block of the model; null: nothing is skipped. */
  readonly skipAttention: Uint8Array | null;
  readonly skipMlp: Uint8Array | null;
  readonly adapter: string | null;
  readonly capture?: NativeCapture | null;
}

/**
 * Arrays, [rows, cols] each, that a pass of one block (to = from + 1) fills with the f32 rows that its products take;
 * absent ones are not wanted. `attention`: q, k, v, and gate and up of a parallel block without an MLP norm; `output`:
 * o; `mlp`: gate and up; `down`: down.
 */
export interface NativeCapture {
  readonly attention?: Float32Array | undefined;
  readonly output?: Float32Array | undefined;
  readonly mlp?: Float32Array | undefined;
  readonly down?: Float32Array | undefined;
}

/** Rows that a head looks at. */
export interface NativeHeadRun {
  readonly input: Float32Array;
  readonly rows: Int32Array;
  readonly head: string;
  readonly norm: boolean;
}

export interface NativeLogitsRun extends NativeHeadRun {
  /** [rows, logits of the head] */
  readonly output: Float32Array;
}

/**
 * [rows] each, or longer: index of the largest logit (the lowest of equal ones), entropy in nats, largest probability,
 * and that minus the second largest. Where a logit is not finite the entropy is not either.
 */
export interface NativeAnswersRun extends NativeHeadRun {
  readonly best: Int32Array;
  readonly entropy: Float32Array;
  readonly maxProbability: Float32Array;
  readonly margin: Float32Array;
}

export interface NativeContext {
  /**
   * Runs off the main thread; false where `abort` stopped it between blocks (rows of earlier blocks are in the cache
   * then).
   */
  run(model: NativeModel, pass: NativePass): Promise<boolean>;
  logits(model: NativeModel, run: NativeLogitsRun): Promise<boolean>;
  /** What a head says of rows: their logits stay in the engine's scratch, a few rows' at a time. */
  answers(model: NativeModel, run: NativeAnswersRun): Promise<boolean>;
  /** Stops the calls of this context that are under way or waiting, at the next block; later ones are not affected. */
  abort(): void;
  scratchBytes(): number;
  dispose(): void;
  [Symbol.dispose](): void;
}
