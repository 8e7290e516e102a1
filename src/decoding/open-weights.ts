import { fileNames } from "../artifact/manifest.ts";
import { type Artifact, openArtifact } from "../artifact/reader.ts";
import { UserError } from "../errors.ts";
import { adaptedSource } from "../model/adapted-source.ts";
import { openCheckpoint } from "../model/checkpoint.ts";
import type { KvType } from "../model/kv-type.ts";
import { readPeftAdapter } from "../model/peft/read.ts";
import type { WeightSource } from "../model/weight-source.ts";
import { createExecutor, type ExecutorOptions } from "../runtime/create-executor.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import type { ActivationType, Residency } from "../runtime/executor-info.ts";
import { type FoundModel, findModel } from "./find-model.ts";

/** How a model is to run. */
export interface OpenModelOptions extends Omit<ExecutorOptions, "residency"> {
  /**
   * Keep every dense matrix in memory, and on tfjs packed ones expanded. Default: an artifact's plan decides, a
   * checkpoint is.
   */
  readonly resident?: boolean | undefined;
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
}

/** Opens the weights of an artifact, a run folder's artifact or a checkpoint; close `source`. */
export async function openWeights(target: string): Promise<OpenWeights> {
  const found = await findModel(target);
  return found.kind === "artifact" ? artifactWeights(found) : checkpointWeights(found);
}

async function artifactWeights(found: FoundModel): Promise<OpenWeights> {
  const source = await openArtifact(found.folder);
  const { contextTokens, kvType, residency, fileBytes } = source.memory;
  return {
    ...{ ...found, source, artifact: source, listed: fileNames(source.manifest) },
    ...{ contextTokens, kvType, residency },
    ...{ compact: "packed", activations: null, weightBytes: fileBytes },
  };
}

async function checkpointWeights(found: FoundModel): Promise<OpenWeights> {
  const source = await openCheckpoint(found.folder);
  return {
    ...{ ...found, source, artifact: null, listed: undefined },
    ...{ contextTokens: source.spec.maxPositions, kvType: "f32" },
    ...{ residency: "resident", compact: "streamed", weightBytes: source.weightBytes },
    // Its matrices are floats, whose products take nothing else.
    activations: "f32",
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
  const source = adapter === undefined ? weights.source : await withAdapter(weights.source, adapter);
  return createExecutor(source, { executor, isa, threads, backend, activations, residency });
}

async function withAdapter(source: WeightSource, folder: string): Promise<WeightSource> {
  return adaptedSource(source, (await readPeftAdapter(folder, source.spec)).parts);
}
