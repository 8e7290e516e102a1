import { plainMaths } from "../maths/plain/plain-maths.ts";
import { openCheckpoint } from "../model/checkpoint.ts";
import { matricesOf } from "../model/decoder-spec.ts";
import { packWith, quantizedOverlay } from "../quantization/overlay.ts";
import { createExecutor, type ExecutorOptions } from "../runtime/create-executor.ts";
import type { AnyExecutor } from "../runtime/executor.ts";

/** An executor and what it reads from, closed together. */
export interface NoiseReference {
  readonly executor: AnyExecutor;
  close(): Promise<void>;
}

/**
 * The checkpoint with every matrix stored as bf16, for the noise floor of an evaluation: differences below its
 * divergence mean nothing. Null where all matrices are bf16 already: the floor is exactly 0 then.
 */
export async function openNoiseReference(
  folder: string,
  options: Pick<ExecutorOptions, "executor" | "isa" | "backend" | "threads">,
): Promise<NoiseReference | null> {
  const checkpoint = await openCheckpoint(folder);
  if (matricesOf(checkpoint.spec).every(({ id }) => checkpoint.storedDtype(id) === "BF16")) {
    await checkpoint.close();
    return null;
  }
  const source = quantizedOverlay(checkpoint, packWith(plainMaths, "bf16", "nearest"));
  const { executor: kind, isa, backend, threads } = options;
  const how: ExecutorOptions = { executor: kind, isa, backend, threads, activations: "f32", residency: "resident" };
  const executor = await createExecutor(source, how).catch(async (error: unknown) => {
    await source.close();
    throw error;
  });
  return {
    executor,
    async close() {
      await executor.dispose();
      await source.close();
    },
  };
}
