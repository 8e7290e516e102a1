import { UserError } from "../errors.ts";
import type { Maths } from "../maths/maths.ts";
import { allFinite } from "../tensor/finite.ts";

/** Share of the gram's mean diagonal that is added to its diagonal (GPTQ, arXiv 2210.17323). */
const DAMPING = 0.01;
/** A gram that is no positive definite one even so is tried again with 10 times as much, so many times. */
const ATTEMPTS = 8;

/** Second moments of a matrix's inputs; InputStatistics of a calibration are such. */
export interface InputGram {
  readonly cols: number;
  /** Mean of x^T x over tokens, [cols, cols], symmetric. */
  readonly gram: Float32Array;
}

/** What quantizers use of a matrix's inputs. Made once for all codecs of all matrices that share the inputs. */
export interface QuantizerInput extends InputGram {
  /** Added to the gram's diagonal; positive. */
  readonly damping: number;
  /** [cols], the damped diagonal over its mean: how much an error in a column counts by itself. */
  readonly weights: Float32Array;
  /** Columns by falling diagonal, the first of equals first. */
  readonly order: Int32Array;
  /**
   * Upper factor u of the damped gram's inverse (u^T u), rows and columns in `order`, [cols, cols]; null if not asked
   * for.
   */
  readonly factor: Float64Array | null;
}

/** What a quantizer needs of a matrix's inputs: nothing, the weights, or the factor too. */
export type QuantizerNeeds = "nothing" | "weights" | "factor";

/**
 * Prepares a gram; the numbers do not depend on the maths. Columns that are always 0 count as little as the damping
 * says. Throws UserError STATISTICS_NOT_FINITE for a gram that is not finite, labelled `label`.
 */
export async function prepareInput(
  maths: Maths,
  statistics: InputGram,
  needs: QuantizerNeeds,
  label = "inputs",
): Promise<QuantizerInput | undefined> {
  if (needs === "nothing") return undefined;
  const input = startInput(statistics, label);
  if (needs === "weights") return input;
  let damping = input.damping;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const factor = dampedGram({ ...input, damping }, input.order);
    const { cols } = input;
    if (await maths.inverseUpperFactor(factor, cols)) {
      return { ...input, damping, weights: columnWeights(input, damping), factor };
    }
    damping *= 10;
  }
  throw new UserError(
    "STATISTICS_NOT_POSITIVE",
    `${label}: second moments: expected a positive definite matrix, found none even with ${damping / 10} on the diagonal`,
    "collect the statistics again: they are damaged",
  );
}

function startInput({ cols, gram }: InputGram, label: string): QuantizerInput {
  if (gram.length !== cols * cols) throw new RangeError(`gram: expected ${cols * cols} numbers, found ${gram.length}`);
  if (!allFinite(gram)) {
    throw new UserError(
      "STATISTICS_NOT_FINITE",
      `${label}: second moments: expected finite numbers, found others`,
      "the checkpoint is damaged or its activations overflow on the calibration text",
    );
  }
  let mean = 0;
  for (let i = 0; i < cols; i++) mean += gram[i * (cols + 1)] / cols;
  // Inputs that are always 0 say nothing: all columns count alike.
  const damping = mean > 0 ? DAMPING * mean : 1;
  const order = Int32Array.from({ length: cols }, (_, i) => i).sort(
    (i, j) => gram[j * (cols + 1)] - gram[i * (cols + 1)] || i - j,
  );
  const input = { cols, gram, damping, weights: new Float32Array(cols), order, factor: null };
  return { ...input, weights: columnWeights(input, damping) };
}

/** The damped diagonal over its mean: sums of weighted squares then stay within the range of f32 codecs' scales. */
function columnWeights({ cols, gram }: InputGram, damping: number): Float32Array {
  const diagonal = Float64Array.from({ length: cols }, (_, i) => gram[i * (cols + 1)] + damping);
  let sum = 0;
  for (const x of diagonal) sum += x;
  return Float32Array.from(diagonal, (x) => (x * cols) / sum);
}

/** The damped gram of some columns, rows and columns in that order, [columns, columns]. */
export function dampedGram({ cols, gram, damping }: QuantizerInput, columns: ArrayLike<number>): Float64Array {
  const n = columns.length;
  const damped = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const row = columns[i] * cols;
    for (let j = 0; j < n; j++) damped[i * n + j] = gram[row + columns[j]];
    damped[i * (n + 1)] += damping;
  }
  return damped;
}
