import { fileNames } from "../artifact/manifest.ts";
import { type Artifact, nativeMapper, nativeReader, openArtifact } from "../artifact/reader.ts";
import type { FileMapper } from "../artifact/tensor-file.ts";
import { UserError } from "../errors.ts";
import { openCheckpoint } from "../model/checkpoint.ts";
import type { KvType } from "../model/kv-type.ts";
import type { WeightSource } from "../model/weight-source.ts";
import { PROMPT_CHUNK_ROWS } from "../model/workspace.ts";
import { chooseExecutor, createExecutor, type ExecutorOptions } from "../runtime/create-executor.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import type { ActivationType, Residency } from "../runtime/executor-info.ts";
import { EXECUTORS } from "../runtime/executors.ts";
import { type FoundModel, findModel } from "./find-model.ts";
import { chunkRowsOf, type PlacedWeights, placeWeights, runMemory, type WeightPlace } from "./memory-limit.ts";

/** How a model is to run. */
export interface OpenModelOptions extends Omit<ExecutorOptions, "residency" | "weightRoomBytes"> {
  /**
   * Keep every dense matrix in memory, and on tfjs packed ones expanded. Default: an artifact's plan decides, a
   * checkpoint is.
   */
  readonly resident?: boolean | undefined;
  /** Where an artifact's packed weights are. Default: mapped, or streamed where the limit asks for it. */
  readonly weights?: WeightPlace | undefined;
  /** What the process may take, files that the system keeps in memory for it included. Of artifacts only. */
  readonly memoryLimitBytes?: number | undefined;
  /**
   * Rows of a prompt that pass through the blocks at a time; changes no number where rows are exact. Default:
   * PROMPT_CHUNK_ROWS, and STREAMED_CHUNK_ROWS of streamed weights, which are read once for each.
   */
  readonly promptChunk?: number | undefined;
  /** Default: as planned for an artifact, f32 for a checkpoint. */
  readonly kvType?: KvType | undefined;
  /** Folder of a PEFT adapter that is added to the blocks' matrices, on top of an artifact's own; default: none. */
  readonly adapter?: string | undefined;
}

/** A model's weights, and how they run where nothing else is asked for. */
export interface OpenWeights extends FoundModel {
  readonly source: WeightSource;
  /** The source where it is an artifact. */
  readonly artifact: Artifact | null;
  /** Names of the files that are an artifact's, by its manifest: no other is read. A checkpoint's: undefined. */
  readonly listed: readonly string[] | undefined;
  /** Longest sequence: the artifact's planned context, a checkpoint's positions. */
  readonly contextTokens: number;
  readonly kvType: KvType;
  readonly residency: Residency;
  /** What `resident: false` means for these weights. */
  readonly compact: Residency;
  /** Null: as asked for, or the executor's default. */
  readonly activations: ActivationType | null;
  /** Bytes as stored. */
  readonly weightBytes: number;
  /** Of streamed weights: what blocks and output head may take in memory. */
  readonly roomBytes: number | undefined;
  readonly promptChunk: number;
}

/**
 * Opens the weights of an artifact, a run folder's artifact or a checkpoint; close `source`. Throws UserError
 * MEMORY_LIMIT, and RESIDENCY where a place for weights was asked for that they cannot have.
 */
export async function openWeights(target: string, options: OpenModelOptions = {}): Promise<OpenWeights> {
  const { promptChunk } = options;
  if (promptChunk !== undefined && (!Number.isInteger(promptChunk) || promptChunk < 1)) {
    throw new UserError("PROMPT_CHUNK", `prompt chunk: expected a whole number from 1 up, found ${promptChunk}`);
  }
  const found = await findModel(target);
  return found.kind === "artifact" ? artifactWeights(found, options) : checkpointWeights(found, options);
}

async function artifactWeights(found: FoundModel, options: OpenModelOptions): Promise<OpenWeights> {
  const { place, roomBytes } = await placeFor(found.folder, options);
  const promptChunk = options.promptChunk ?? chunkRowsOf(place);
  const source = await openArtifact(found.folder, { mapFile: MAPPERS[place]() });
  const { contextTokens, kvType, residency, fileBytes } = source.memory;
  return {
    ...{ ...found, source, artifact: source, listed: fileNames(source.manifest) },
    ...{ contextTokens, kvType, residency: place === "streamed" ? place : residency, roomBytes, promptChunk },
    ...{ compact: place === "streamed" ? place : "packed", activations: null, weightBytes: fileBytes },
  };
}

/** How weights files are opened, by where their weights will be. */
const MAPPERS: Readonly<Record<WeightPlace, () => FileMapper | null>> = {
  mapped: nativeMapper,
  memory: nativeReader,
  streamed: () => null,
};

/** Where the weights of an artifact go. */
async function placeFor(folder: string, options: OpenModelOptions): Promise<PlacedWeights> {
  const { weights, memoryLimitBytes, kvType, executor, isa, threads, backend, activations } = options;
  if (weights === undefined && memoryLimitBytes === undefined) return { place: "mapped", roomBytes: undefined };
  const { kind } = await chooseExecutor({ executor, isa, threads, backend, activations });
  const artifact = await openArtifact(folder, { mapFile: null });
  try {
    const how = { executor: kind, backend };
    const memory = runMemory(artifact, how, kvType ?? artifact.memory.kvType, options.promptChunk);
    const placed = placeWeights(memory, weights, memoryLimitBytes);
    if (placed.place !== "streamed" || EXECUTORS[kind].traits.streams) return placed;
    throw new UserError("RESIDENCY", `weights streamed: expected an executor that streams, found ${kind}`, STREAM_HINT);
  } finally {
    await artifact.close();
  }
}

const STREAM_HINT = "use the native executor, or allow more memory";

async function checkpointWeights(found: FoundModel, options: OpenModelOptions): Promise<OpenWeights> {
  const asked = options.weights ? "residency" : options.memoryLimitBytes === undefined ? null : "memory limit";
  if (asked !== null) {
    const message = `${found.folder}: ${asked}: expected an artifact, found a checkpoint`;
    throw new UserError(
      "RESIDENCY",
      message,
      "compress it first; a checkpoint has resident weights or reads each block",
    );
  }
  const source = await openCheckpoint(found.folder);
  return {
    ...{ ...found, source, artifact: null, listed: undefined },
    ...{ contextTokens: source.spec.maxPositions, kvType: "f32" },
    ...{ residency: "resident", compact: "streamed", weightBytes: source.weightBytes },
    // Its matrices are floats, whose products take nothing else.
    activations: "f32",
    roomBytes: undefined,
    promptChunk: options.promptChunk ?? PROMPT_CHUNK_ROWS,
  };
}

/**
 * Makes the executor that runs the weights as asked for. Throws UserError THREADS, and what `readPeftAdapter` and
 * `createExecutor` do.
 */
export async function executorOver(weights: OpenWeights, options: OpenModelOptions): Promise<AnyExecutor> {
  const { executor, isa, threads, backend, resident, adapter } = options;
  if (threads !== undefined && (!Number.isInteger(threads) || threads < 1)) {
    throw new UserError("THREADS", `threads: expected a whole number from 1 up, found ${threads}`);
  }
  const asked: Residency = resident ? "resident" : weights.compact;
  const residency = resident === undefined ? weights.residency : asked;
  const activations = weights.activations ?? options.activations;
  const how = { executor, isa, threads, backend, activations, residency, weightRoomBytes: weights.roomBytes };
  const source = adapter === undefined ? weights.source : await withAdapter(weights.source, adapter);
  return createExecutor(source, how);
}

async function withAdapter(source: WeightSource, folder: string): Promise<WeightSource> {
  // Loaded here: few runs have an adapter.
  const { adaptedSource } = await import("../model/adapted-source.ts");
  const { readPeftAdapter } = await import("../model/peft/read.ts");
  return adaptedSource(source, (await readPeftAdapter(folder, source.spec)).parts);
}
