import type { NativeIsa } from "../native/addon.ts";
import { chooseExecutor, type ExecutorOptions } from "./create-executor.ts";
import type { StartedExecutor } from "./executor-declaration.ts";
import { EXECUTORS, type ExecutorKind } from "./executors.ts";

/** What would run a model here, without a model. */
export interface ExecutorReport extends StartedExecutor {
  readonly executor: ExecutorKind;
  /**
   * The native engine's instruction sets, slowest first, with what this machine lacks for each; empty without an addon.
   */
  readonly isas: readonly NativeIsa[];
  /** Why the native addon does not load; null where it does. */
  readonly nativeMissing: string | null;
}

/** Starts what `createExecutor` would start with these options, and says what it is. Throws as it does. */
export async function describeExecutor(options: ExecutorOptions = {}): Promise<ExecutorReport> {
  const { loadNative } = await import("../native/load.ts");
  const { kind, reason } = await chooseExecutor(options);
  const native = loadNative();
  const { backend, isa, reason: why, threads, version } = await EXECUTORS[kind].start(options, reason);
  return {
    ...{ executor: kind, backend, isa, reason: why, threads, version },
    isas: native.addon?.isas ?? [],
    nativeMissing: native.addon ? null : native.reason,
  };
}
