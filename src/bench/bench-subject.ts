import { type Artifact, openArtifact } from "../artifact/reader.ts";
import { findModel } from "../decoding/find-model.ts";
import { type OpenModelOptions, openModel } from "../decoding/open-model.ts";
import type { KvType } from "../model/kv-type.ts";
import { createExecutor } from "../runtime/create-executor.ts";
import type { AnyExecutor } from "../runtime/executor.ts";

/** A model opened to be measured. Of an artifact no tokenizer is read: the prompts are random ids. */
export interface OpenSubject {
  readonly kind: "artifact" | "checkpoint";
  readonly folder: string;
  readonly executor: AnyExecutor;
  readonly contextTokens: number;
  readonly kvType: KvType;
  /** Bytes of the weights as stored. */
  readonly weightBytes: number;
  /** Opening it, executor included. */
  readonly loadMs: number;
  /** Null for a checkpoint. */
  readonly artifact: Artifact | null;
  close(): Promise<void>;
}

/** Opens an artifact, a run folder's artifact or a checkpoint and makes its executor. */
export async function openSubject(target: string, options: OpenModelOptions): Promise<OpenSubject> {
  const { kind, folder } = await findModel(target);
  const started = performance.now();
  if (kind === "artifact") return openArtifactSubject(folder, options, started);
  const model = await openModel(folder, options);
  const { executor, contextTokens, kvType, weightBytes } = model;
  const loadMs = performance.now() - started;
  const close = () => model.close();
  return { kind, folder, executor, contextTokens, kvType, weightBytes, loadMs, artifact: null, close };
}

async function openArtifactSubject(folder: string, options: OpenModelOptions, started: number): Promise<OpenSubject> {
  const artifact = await openArtifact(folder);
  try {
    const { contextTokens, kvType, residency, fileBytes } = artifact.memory;
    const { executor: choice, isa, threads, activations, backend, resident } = options;
    const asked = resident ? ("resident" as const) : ("packed" as const);
    const executor = await createExecutor(artifact, {
      executor: choice,
      isa,
      threads,
      activations,
      backend,
      residency: resident === undefined ? residency : asked,
    });
    return {
      kind: "artifact",
      folder,
      executor,
      contextTokens,
      kvType: options.kvType ?? kvType,
      weightBytes: fileBytes,
      loadMs: performance.now() - started,
      artifact,
      async close() {
        await executor.dispose();
        await artifact.close();
      },
    };
  } catch (error) {
    await artifact.close();
    throw error;
  }
}
