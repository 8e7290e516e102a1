import { createExecutor } from "../runtime/create-executor.ts";
import type { ExecutorFactory } from "../runtime/executor.ts";
import type { RunOptions } from "./run-options.ts";

/** Executors that read a block at a time and compute in f32, as the options say. */
export function streamedExecutors({ executor, backend, threads }: RunOptions): ExecutorFactory {
  const shared = { executor, backend, threads };
  return (source) => createExecutor(source, { ...shared, residency: "streamed", activations: "f32" });
}
