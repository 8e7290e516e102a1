import type { WeightSource } from "../../model/weight-source.ts";
import type { NativeContext, NativeModel } from "../../native/addon.ts";
import { streamError } from "./streamed-weights.ts";

/**
 * A context whose calls fail where weights that they may have read are gone: a mapped file that was cut short reads as
 * zeros, and a streamed one can be read no more. Throws as `WeightSource.assertIntact` and `streamError`.
 */
export function intactContext(context: NativeContext, source: WeightSource): NativeContext {
  const checked = async <T>(model: NativeModel, call: Promise<T>): Promise<T> => {
    const value = await call.catch((error: unknown) => {
      throw streamError(model, error) ?? error;
    });
    source.assertIntact?.();
    return value;
  };
  return {
    run: (model, pass) => checked(model, context.run(model, pass)),
    logits: (model, run) => checked(model, context.logits(model, run)),
    answers: (model, run) => checked(model, context.answers(model, run)),
    abort: () => context.abort(),
    scratchBytes: () => context.scratchBytes(),
    dispose: () => context.dispose(),
    [Symbol.dispose]: () => context.dispose(),
  };
}
