import { notFinite } from "./not-finite.ts";

/** Logits that answers are taken from at a time, at most, as many as fit 8 MiB; a single row always passes. */
const LOGITS_AT_ONCE = 2 ** 21;

/**
 * What a head says of each row, [rows] each: its answer and three measures of how sure it is, over all of the row's
 * logits.
 */
export interface HeadAnswers {
  /**
   * Index of the largest logit, of equal ones the lowest: a row of the head's matrix, or the number of them where its
   * tail wins.
   */
  readonly best: Int32Array;
  /** In nats. */
  readonly entropy: Float32Array;
  readonly maxProbability: Float32Array;
  /** Largest probability minus the second largest. */
  readonly margin: Float32Array;
}

export interface AnswersOptions {
  /** `output`, or an exit head that `loadHead` has loaded under this name. */
  readonly head: string;
  /** Written and returned in place of new arrays; each has room for the rows, and may have more. */
  readonly into?: HeadAnswers | undefined;
}

/** Room for the answers to so many rows. */
export function emptyAnswers(rows: number): HeadAnswers {
  return {
    best: new Int32Array(rows),
    entropy: new Float32Array(rows),
    maxProbability: new Float32Array(rows),
    margin: new Float32Array(rows),
  };
}

/** `into` where it is given, else new arrays. Throws where one of its arrays has no room for so many rows. */
export function answersFor(rows: number, into: HeadAnswers | undefined): HeadAnswers {
  if (!into) return emptyAnswers(rows);
  const room = Math.min(into.best.length, into.entropy.length, into.maxProbability.length, into.margin.length);
  if (room < rows) throw new Error(`answers: expected room for ${rows} rows, found ${room}`);
  return into;
}

/**
 * The answers to rows of logits, [rows, width]: the slow twin of the native engine's, in f64 and rounded to f32 at the
 * end. They are written from answer `first` of `into` on. Throws UserError where a logit is not a finite number.
 */
export function answersOf(
  logits: Float32Array,
  width: number,
  into: HeadAnswers = emptyAnswers(logits.length / width),
  first = 0,
): HeadAnswers {
  const rows = logits.length / width;
  for (let row = 0; row < rows; row++) answerRow(logits.subarray(row * width, (row + 1) * width), into, first + row);
  checkAnswers(into, first, first + rows);
  return into;
}

/** Answers to `rows` by way of their logits, a bounded number at a time; `logitsOf` gives [rows, width]. */
export async function answersByLogits(
  rows: Int32Array,
  width: number,
  into: HeadAnswers,
  logitsOf: (rows: Int32Array) => Promise<Float32Array>,
): Promise<HeadAnswers> {
  const step = Math.max(1, Math.floor(LOGITS_AT_ONCE / width));
  for (let from = 0; from < rows.length; from += step) {
    answersOf(await logitsOf(rows.subarray(from, from + step)), width, into, from);
  }
  return into;
}

/**
 * Throws UserError LOGITS_NOT_FINITE where one of the answers [from, to) is to a row with a logit that is not finite:
 * its entropy is not either.
 */
export function checkAnswers({ entropy }: HeadAnswers, from: number, to: number): void {
  for (let row = from; row < to; row++) {
    if (!Number.isFinite(entropy[row])) throw notFinite(`logits of row ${row}`);
  }
}

function answerRow(logits: Float32Array, { best, entropy, maxProbability, margin }: HeadAnswers, row: number): void {
  const largest = indexOfLargest(logits);
  let [mass, slope, second] = [0, 0, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < logits.length; i++) {
    const difference = logits[i] - logits[largest];
    const weight = Math.exp(difference);
    mass += weight;
    slope += weight * difference;
    if (i !== largest && difference > second) second = difference;
  }
  best[row] = largest;
  entropy[row] = Math.log(mass) - slope / mass;
  maxProbability[row] = 1 / mass;
  margin[row] = (1 - Math.exp(second)) / mass;
}

/** The lowest of equal ones. */
function indexOfLargest(logits: Float32Array): number {
  let largest = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[largest]) largest = i;
  return largest;
}
