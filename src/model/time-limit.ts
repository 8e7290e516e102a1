import vm from "node:vm";

/** Where the timed script finds its work: only what a script runs can be stopped. */
const SLOT = Symbol.for("layerwise.timed-work");
const SCRIPT = new vm.Script('globalThis[Symbol.for("layerwise.timed-work")]()');

/** Work was stopped at its time limit. */
export class TimeLimitError extends Error {
  readonly limitMs: number;

  constructor(limitMs: number) {
    super(`still busy after ${(limitMs / 1000).toFixed(1)} s`);
    this.limitMs = limitMs;
  }
}

/**
 * What synchronous work gives, stopped with {@link TimeLimitError} where it takes longer: for what a file decides over
 * (a regular expression, a template), which may have no end. Costs 0.1 ms.
 */
export function withinTime<T>(limitMs: number, work: () => T): T {
  const slots = globalThis as { [SLOT]?: () => void };
  const outer = slots[SLOT];
  let result: { readonly value: T } | undefined;
  slots[SLOT] = () => {
    result = { value: work() };
  };
  try {
    SCRIPT.runInThisContext({ timeout: Math.ceil(limitMs) });
  } catch (error) {
    const stopped = error instanceof Error && "code" in error && error.code === "ERR_SCRIPT_EXECUTION_TIMEOUT";
    throw stopped ? new TimeLimitError(limitMs) : error;
  } finally {
    slots[SLOT] = outer;
  }
  if (!result) throw new Error("timed work gave nothing");
  return result.value;
}
