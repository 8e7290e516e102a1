import type { WeightSource } from "../../model/weight-source.ts";
import type { NativeContext } from "../../native/addon.ts";

/**
 * A context whose calls fail where weights that they may have read are gone: a mapped file that was cut short reads as
 * zeros. Throws as `WeightSource.assertIntact`.
 */
export function intactContext(context: NativeContext, source: WeightSource): NativeContext {
  const checked = async <T>(call: Promise<T>): Promise<T> => {
    const value = await call;
    source.assertIntact?.();
    return value;
  };
  return {
    run: (model, pass) => checked(context.run(model, pass)),
    logits: (model, run) => checked(context.logits(model, run)),
    answers: (model, run) => checked(context.answers(model, run)),
    abort: () => context.abort(),
    scratchBytes: () => context.scratchBytes(),
    dispose: () => context.dispose(),
    [Symbol.dispose]: () => context.dispose(),
  };
}
