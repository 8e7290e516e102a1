import { throwIfAborted } from "../errors.ts";
import { denseMatrix, matrixRows } from "../model/weight-source.ts";
import type { ScorerContext } from "./scorer.ts";
import type { Losses } from "./scores.ts";

/** Rows compared at a time. */
const ERROR_ROWS = 256;

/** A matrix and the codecs that its errors are wanted at. */
export interface WantedErrors {
  readonly unit: string;
  readonly codecs: readonly string[];
}

type ErrorOf = (id: string, codec: string) => Promise<number | null>;

/**
 * Error of each matrix at each of its codecs: that of the context's matrices (a library's, weighted by the Hessian)
 * where it is known at all of them, else the mean over outputs of the squared difference of weights. Only ratios within
 * a matrix count.
 */
export async function matrixErrors(context: ScorerContext, wanted: readonly WantedErrors[]): Promise<Losses> {
  const total = wanted.length;
  const byWeights = weightErrors(context);
  const errors: Losses = {};
  for (const [done, { unit, codecs }] of wanted.entries()) {
    throwIfAborted(context.signal);
    const known = await errorsBy(
      async (id, codec) => (await context.matrices.errorOf?.(id, codec)) ?? null,
      unit,
      codecs,
    );
    const own = known ?? (await errorsBy(byWeights, unit, codecs));
    if (own === null) throw new Error(`${unit}: no errors`);
    errors[unit] = own;
    context.onProgress?.({ stage: "errors of the codecs", done: done + 1, total, detail: unit });
  }
  return errors;
}

/** Null where one is unknown. */
async function errorsBy(errorOf: ErrorOf, unit: string, codecs: readonly string[]) {
  const errors: Record<string, number> = {};
  for (const codec of codecs) {
    const error = await errorOf(unit, codec);
    if (error === null) return null;
    errors[codec] = error;
  }
  return errors;
}

/** Sum of (w - rounded w)^2 over the rows. */
function weightErrors(context: ScorerContext): ErrorOf {
  let held: { readonly id: string; readonly data: Float32Array } | undefined;
  return async (id, codec) => {
    if (held?.id !== id) held = { id, data: denseMatrix(await context.source.readMatrix(id)).data };
    const { data } = held;
    const rounded = await context.matrices.at(id, codec);
    let sum = 0;
    for (let from = 0; from < rounded.rows; from += ERROR_ROWS) {
      const part = matrixRows(rounded, from, Math.min(rounded.rows, from + ERROR_ROWS));
      const at = from * rounded.cols;
      for (let i = 0; i < part.length; i++) sum += (data[at + i] - part[i]) ** 2;
    }
    return sum / rounded.rows;
  };
}
