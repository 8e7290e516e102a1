import type { Artifact } from "../artifact/reader.ts";
import type { KvType } from "../model/kv-type.ts";
import { loadTokenizer, type Tokenizer } from "../model/tokenizer.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import { type LoadedExits, loadExits, readExits } from "./exits/load.ts";
import { KeptState } from "./kept-state.ts";
import { executorOver, type OpenModelOptions, openWeights } from "./open-weights.ts";
import { Session } from "./session.ts";

/** A model ready to run, from an artifact or a checkpoint. */
export interface OpenModel {
  readonly kind: "artifact" | "checkpoint";
  /** The folder it was read from. */
  readonly folder: string;
  /** Null for a checkpoint. */
  readonly artifact: Artifact | null;
  /** The folder of the adapter that was added to it; null: none. */
  readonly adapter: string | null;
  readonly executor: AnyExecutor;
  readonly tokenizer: Tokenizer;
  /** Longest sequence: the artifact's planned context, a checkpoint's positions. */
  readonly contextTokens: number;
  readonly kvType: KvType;
  /** Bytes of the weights as stored. */
  readonly weightBytes: number;
  /** What drafters have read of it, besides exits. */
  readonly kept: KeptState;
  /** A new sequence; close it when done. */
  createSession(): Session;
  /**
   * Reads the early exits at the first call and makes them known to the executor (exits/load.ts); null where the model
   * has none. Throws UserError for a damaged exits file.
   */
  loadExits(): Promise<LoadedExits | null>;
  close(): Promise<void>;
  /** As `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Opens an artifact, a run folder's artifact or a checkpoint and makes its executor. */
export async function openModel(target: string, options: OpenModelOptions = {}): Promise<OpenModel> {
  const weights = await openWeights(target, options);
  try {
    const { kind, folder, artifact, listed, contextTokens, weightBytes, source, promptChunk } = weights;
    const tokenizer = await loadTokenizer(folder, { spec: source.spec, listed });
    const executor = await executorOver(weights, options);
    const kvType = options.kvType ?? weights.kvType;
    let exits: Promise<LoadedExits | null> | undefined;
    const close = async () => {
      await executor.dispose();
      await source.close();
    };
    return {
      ...{ kind, folder, artifact, executor, tokenizer, contextTokens, kvType, weightBytes, kept: new KeptState() },
      adapter: options.adapter ?? null,
      createSession: () => new Session(executor, { contextTokens, kvType, promptChunk }),
      loadExits: () => {
        exits ??= exitsOf(artifact, executor);
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
