import { createExecutor } from "../../src/runtime/create-executor.ts";
import type { ExecutorFactory } from "../../src/runtime/executor.ts";
import type { Residency } from "../../src/runtime/executor-info.ts";
import { EXECUTOR_KINDS, EXECUTORS, type ExecutorKind } from "../../src/runtime/executors.ts";

const probes = await Promise.all(EXECUTOR_KINDS.map((kind) => EXECUTORS[kind].probe()));

/** The executors that run here. */
export const TEST_EXECUTORS: readonly ExecutorKind[] = EXECUTOR_KINDS.filter((_, i) => probes[i].works);

/** Makes executors of one kind that compute in f32. */
export function executorsOf(executor: ExecutorKind, residency: Residency): ExecutorFactory {
  return (source) => createExecutor(source, { executor, residency, activations: "f32" });
}
