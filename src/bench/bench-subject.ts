import type { OpenModel } from "../decoding/open-model.ts";
import { executorOver, type OpenModelOptions, openWeights } from "../decoding/open-weights.ts";

/** A model opened to be measured: as much of one as needs no tokenizer, since the prompts are random ids. */
export interface OpenSubject
  extends Pick<OpenModel, "kind" | "folder" | "artifact" | "executor" | "contextTokens" | "kvType" | "weightBytes"> {
  /** Rows of a prompt that pass through the blocks at a time. */
  readonly promptChunk: number;
  /** Opening it, executor included. */
  readonly loadMs: number;
  close(): Promise<void>;
}

/** Opens an artifact, a run folder's artifact or a checkpoint and makes its executor. */
export async function openSubject(target: string, options: OpenModelOptions): Promise<OpenSubject> {
  const started = performance.now();
  const weights = await openWeights(target, options);
  try {
    const executor = await executorOver(weights, options);
    const loadMs = performance.now() - started;
    const { kind, folder, artifact, contextTokens, weightBytes, source, promptChunk } = weights;
    return {
      ...{ kind, folder, artifact, executor, contextTokens, kvType: options.kvType ?? weights.kvType, weightBytes },
      ...{ loadMs, promptChunk },
      async close() {
        await executor.dispose();
        await source.close();
      },
    };
  } catch (error) {
    await weights.source.close();
    throw error;
  }
}
