import type { NativeIsa } from "../native/addon.ts";
import { chooseExecutor, type ExecutorOptions } from "./create-executor.ts";
import type { ExecutorInfo } from "./executor-info.ts";

/** What would run a model here, without a model. */
export interface ExecutorReport extends Pick<ExecutorInfo, "executor" | "backend" | "isa" | "reason" | "threads"> {
  /** tfjs: of TensorFlow.js and what is below it; native: of the addon. */
  readonly version: string;
  /** The native engine's instruction sets, slowest first, with what this machine lacks for each; empty without an addon. */
  readonly isas: readonly NativeIsa[];
  /** Why the native addon does not load; null where it does. */
  readonly nativeMissing: string | null;
}

/** Starts what `createExecutor` would start with these options, and says what it is. Throws as it does. */
export async function describeExecutor(options: ExecutorOptions = {}): Promise<ExecutorReport> {
  const { loadNative, openEngine } = await import("../native/load.ts");
  const { kind, reason } = await chooseExecutor(options);
  const { addon, reason: missing } = { reason: null, ...loadNative() };
  const native = { isas: addon?.isas ?? [], nativeMissing: addon ? null : missing };
  if (kind === "native" && addon) {
    const engine = openEngine({ isa: options.isa, threads: options.threads });
    const { isa, threads } = engine;
    engine.dispose();
    return { executor: "native", backend: null, isa, reason, threads, version: addon.version, ...native };
  }
  const { openBackend } = await import("./tfjs/backend.ts");
  const { backend, reason: whyBackend, threads, version } = await openBackend(options);
  const why = reason === "" ? whyBackend : `${reason}; ${whyBackend}`;
  return { executor: "tfjs", backend, isa: null, reason: why, threads, version, ...native };
}
