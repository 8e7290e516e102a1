import type { NativeEngine } from "../native/addon.ts";
import type { ExecutorChoice } from "./executor-info.ts";

/** The engine that the offline stages compute with, for `using`: its threads end with the scope. */
export interface OfflineEngine extends Disposable {
  readonly engine: NativeEngine | null;
}

/**
 * The native engine for the maths of the offline stages (packing, Hessian sums, GPTQ), or null where plain TypeScript computes the
 * same bytes: without an addon, or where tfjs is asked for by name.
 */
export async function openOfflineEngine(options: {
  readonly executor?: ExecutorChoice | undefined;
  readonly threads?: number | undefined;
}): Promise<OfflineEngine> {
  const { loadNative, openEngine } = await import("../native/load.ts");
  const wanted = options.executor !== "tfjs" && loadNative().addon !== null;
  const engine = wanted ? openEngine({ threads: options.threads }) : null;
  return { engine, [Symbol.dispose]: () => engine?.dispose() };
}
