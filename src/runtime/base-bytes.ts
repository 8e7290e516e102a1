import type { BackendChoice } from "./backend-names.ts";
import { plannedExecutor } from "./create-executor.ts";
import type { ExecutorInfo } from "./executor-info.ts";
import { EXECUTORS, type ExecutorChoice, kindOf } from "./executors.ts";

/** Resident bytes of a process in which that executor is up and holds no weights. */
export function runtimeBaseBytes({ executor, backend }: Pick<ExecutorInfo, "executor" | "backend">): number {
  return EXECUTORS[kindOf({ executor })].baseBytes(backend);
}

/** The base that a plan counts with: that of the executor that it is made for. */
export function plannedBaseBytes(options: {
  readonly executor: ExecutorChoice;
  readonly backend: BackendChoice;
}): number {
  return EXECUTORS[plannedExecutor(options)].baseBytes(options.backend);
}
