import { createExecutor } from "../../src/runtime/create-executor.ts";
import type { ExecutorFactory } from "../../src/runtime/executor.ts";
import type { ExecutorKind, Residency } from "../../src/runtime/executor-info.ts";
import { HAS_ADDON } from "./native/addon-state.ts";

/** The executors that run here. */
export const TEST_EXECUTORS: readonly ExecutorKind[] = HAS_ADDON ? ["native", "tfjs"] : ["tfjs"];

/** Makes executors of one kind that compute in f32. */
export function executorsOf(executor: ExecutorKind, residency: Residency): ExecutorFactory {
  return (source) => createExecutor(source, { executor, residency, activations: "f32" });
}
