import { type Artifact, openArtifact } from "../artifact/reader.ts";
import { UserError } from "../errors.ts";
import { openCheckpoint } from "../model/checkpoint.ts";
import type { KvType } from "../model/kv-type.ts";
import { checkTokenizerFits, loadTokenizer, type Tokenizer } from "../model/tokenizer.ts";
import type { WeightSource } from "../model/weight-source.ts";
import { createExecutor, type ExecutorOptions } from "../runtime/create-executor.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import type { ActivationType, Residency } from "../runtime/executor-info.ts";
import { type LoadedExits, loadExits, readExits } from "./exits/load.ts";
import { findModel } from "./find-model.ts";
import { Session } from "./session.ts";

export interface OpenModelOptions extends Omit<ExecutorOptions, "residency"> {
  /** Keep every dense matrix in memory, and on tfjs packed ones expanded. Default: an artifact's plan decides, a checkpoint is. */
  readonly resident?: boolean | undefined;
  /** Default: as planned for an artifact, f32 for a checkpoint. */
  readonly kvType?: KvType | undefined;
}

/** A model ready to run, from an artifact or a checkpoint. */
export interface OpenModel {
  readonly kind: "artifact" | "checkpoint";
  /** The folder it was read from. */
  readonly folder: string;
  readonly executor: AnyExecutor;
  readonly tokenizer: Tokenizer;
  /** Longest sequence: the artifact's planned context, a checkpoint's positions. */
  readonly contextTokens: number;
  readonly kvType: KvType;
  /** Bytes of the weights as stored. */
  readonly weightBytes: number;
  /** A new sequence; close it when done. */
  createSession(): Session;
  /**
   * Reads the early exits at the first call and makes them known to the executor (load-exits.ts); null where the model has none. Throws
   * UserError for a damaged exits file.
   */
  loadExits(): Promise<LoadedExits | null>;
  close(): Promise<void>;
  /** As `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Opens an artifact, a run folder's artifact or a checkpoint and makes its executor. */
export async function openModel(target: string, options: OpenModelOptions = {}): Promise<OpenModel> {
  const { kind, folder } = await findModel(target);
  const weights = kind === "artifact" ? await openArtifactWeights(folder) : await openCheckpointWeights(folder);
  try {
    const tokenizer = await loadTokenizer(folder);
    checkTokenizerFits(tokenizer, weights.source.spec);
    const executor = await createExecutor(weights.source, executorOptions(weights, options));
    const { contextTokens, weightBytes } = weights;
    const kvType = options.kvType ?? weights.kvType;
    let exits: Promise<LoadedExits | null> | undefined;
    const close = async () => {
      await executor.dispose();
      await weights.source.close();
    };
    return {
      kind,
      folder,
      executor,
      tokenizer,
      contextTokens,
      kvType,
      weightBytes,
      createSession: () => new Session(executor, { contextTokens, kvType }),
      loadExits: () => {
        exits ??= exitsOf(weights.artifact, executor);
        return exits;
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await weights.source.close();
    throw error;
  }
}

async function exitsOf(artifact: Artifact | null, executor: AnyExecutor): Promise<LoadedExits | null> {
  const exits = artifact && (await readExits(artifact));
  if (exits) await loadExits(executor, exits);
  return exits;
}

interface Weights {
  readonly source: WeightSource;
  /** The source where it is an artifact. */
  readonly artifact: Artifact | null;
  readonly contextTokens: number;
  readonly kvType: KvType;
  readonly residency: Residency;
  /** What `resident: false` means for these weights. */
  readonly compact: Residency;
  /** Null: as asked for, or the executor's default. */
  readonly activations: ActivationType | null;
  readonly weightBytes: number;
}

async function openArtifactWeights(folder: string): Promise<Weights> {
  const source = await openArtifact(folder);
  const { contextTokens, kvType, residency, fileBytes } = source.memory;
  return {
    source,
    artifact: source,
    contextTokens,
    kvType,
    residency,
    compact: "packed",
    activations: null,
    weightBytes: fileBytes,
  };
}

async function openCheckpointWeights(folder: string): Promise<Weights> {
  const source = await openCheckpoint(folder);
  return {
    source,
    artifact: null,
    contextTokens: source.spec.maxPositions,
    kvType: "f32",
    residency: "resident",
    compact: "streamed",
    // Its matrices are floats, whose products take nothing else.
    activations: "f32",
    weightBytes: source.weightBytes,
  };
}

function executorOptions(weights: Weights, options: OpenModelOptions): ExecutorOptions {
  const { executor, isa, threads, backend, resident } = options;
  if (threads !== undefined && (!Number.isInteger(threads) || threads < 1)) {
    throw new UserError("THREADS", `threads: expected a whole number from 1 up, found ${threads}`);
  }
  const asked: Residency = resident ? "resident" : weights.compact;
  const residency = resident === undefined ? weights.residency : asked;
  return { executor, isa, threads, backend, activations: weights.activations ?? options.activations, residency };
}
