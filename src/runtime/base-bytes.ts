import type { BackendChoice } from "./backend-names.ts";
import { MEASURED_BASE_BYTES } from "./base-bytes-measured.ts";
import type { ExecutorChoice, ExecutorInfo } from "./executor-info.ts";

/** Resident bytes of a process in which that executor is up and holds no weights. */
export function runtimeBaseBytes({ executor, backend }: Pick<ExecutorInfo, "executor" | "backend">): number {
  if (executor === "native") return MEASURED_BASE_BYTES.native;
  return backend === "wasm" || backend === "cpu" ? MEASURED_BASE_BYTES[backend] : MEASURED_BASE_BYTES.tensorflow;
}

/**
 * The base that a plan counts with: of what is asked for by name, else of the executor that runs wherever it can be built. What
 * this machine has does not matter: the plan is for the device.
 */
export function plannedBaseBytes(options: {
  readonly executor: ExecutorChoice;
  readonly backend: BackendChoice;
}): number {
  const { executor, backend } = options;
  const isTfjs = executor === "tfjs" || (executor === "auto" && backend !== "auto");
  return runtimeBaseBytes({ executor: isTfjs ? "tfjs" : "native", backend });
}
