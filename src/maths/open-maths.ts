import type { Maths } from "./maths.ts";
import { nativeMaths } from "./native.ts";
import { plainMaths } from "./plain/plain-maths.ts";

/** Maths that are open, for `using`: their threads end with the scope. */
export interface OpenMaths extends Maths, Disposable {}

/**
 * The maths of the offline stages (packing, Hessian sums, GPTQ), chosen once: on a native engine of its own with as
 * many threads as there are physical cores, or `threads`; plain without an addon, or where `native` is false.
 */
export async function openMaths(options: {
  readonly native?: boolean | undefined;
  readonly threads?: number | undefined;
}): Promise<OpenMaths> {
  const { loadNative, openEngine } = await import("../native/load.ts");
  if (options.native === false || !loadNative().addon) return { ...plainMaths, [Symbol.dispose]: () => undefined };
  const engine = openEngine({ threads: options.threads });
  return { ...nativeMaths(engine), [Symbol.dispose]: () => engine.dispose() };
}
