import { expect } from "vitest";
import type { AnyExecutor } from "../../src/runtime/executor.ts";
import type { Summary } from "./goldens.ts";

/** Largest absolute difference of two rows of numbers of one length. */
export function maxDifference(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(found.length).toBe(expected.length);
  let most = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(found[i] - expected[i]);
    if (!(difference <= most)) most = difference;
  }
  return most;
}

/** Norm of some numbers, summed in f64. */
function norm(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
  return Math.sqrt(sum);
}

/** A hidden state against its summary: values within 2e-4 x max(1, |x|), norms within 1e-5 of themselves. */
export function expectSummary(found: Float32Array, width: number, summary: Summary): void {
  const row = (position: string) => found.subarray(Number(position) * width, (Number(position) + 1) * width);
  for (const [position, values] of Object.entries(summary.at)) {
    values.forEach((value, i) => {
      expect(Math.abs(row(position)[i] - value)).toBeLessThanOrEqual(2e-4 * Math.max(1, Math.abs(value)));
    });
  }
  for (const [position, length] of Object.entries(summary.row_l2)) {
    expect(Math.abs(norm(row(position)) - length)).toBeLessThanOrEqual(1e-5 * length + 1e-6);
  }
  expect(Math.abs(norm(found) - summary.l2)).toBeLessThanOrEqual(1e-5 * summary.l2 + 1e-6);
}

/** -ln p(ids[t + 1] | ids[.. t]) from logits [ids, vocabSize]. */
export function negativeLogLikelihoods(logits: Float32Array, ids: readonly number[]): number[] {
  const vocabSize = logits.length / ids.length;
  return ids.slice(1).map((id, t) => {
    const row = logits.subarray(t * vocabSize, (t + 1) * vocabSize);
    const largest = row.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
    const sum = row.reduce((total, value) => total + Math.exp(value - largest), 0);
    return largest + Math.log(sum) - row[id];
  });
}

/** The hidden states of a whole sequence without a cache: [0] the embedding, [i + 1] the output of block i. */
export async function hiddenStates(executor: AnyExecutor, ids: readonly number[]): Promise<Float32Array[]> {
  let hidden = await executor.embed(Int32Array.from(ids));
  const states = [await executor.read(hidden)];
  for (let block = 0; block < executor.spec.blocks.length; block++) {
    const next = await executor.runBlocks(hidden, block, block + 1, [{ cache: null, position: 0, count: ids.length }]);
    executor.release(hidden);
    hidden = next;
    states.push(await executor.read(hidden));
  }
  executor.release(hidden);
  return states;
}

/** Logits [ids, vocabSize] of a whole sequence without a cache. */
export async function logitsOf(executor: AnyExecutor, ids: readonly number[]): Promise<Float32Array> {
  const embedded = await executor.embed(Int32Array.from(ids));
  const span = { cache: null, position: 0, count: ids.length };
  const hidden = await executor.runBlocks(embedded, 0, executor.spec.blocks.length, [span]);
  const logits = await executor.logits(hidden);
  executor.release(embedded);
  executor.release(hidden);
  return logits;
}

/** Feeds ids to a cache in chunks of the given sizes (the last repeats) and returns the last row's logits. */
export async function feed(
  executor: AnyExecutor,
  cache: ReturnType<AnyExecutor["createCache"]>,
  ids: readonly number[],
  chunk = ids.length,
): Promise<Float32Array> {
  let logits: Float32Array = new Float32Array(0);
  for (let done = 0; done < ids.length; done += chunk) {
    const part = Int32Array.from(ids.slice(done, done + chunk));
    const embedded = await executor.embed(part);
    const span = { cache, position: cache.length(0), count: part.length };
    const hidden = await executor.runBlocks(embedded, 0, executor.spec.blocks.length, [span]).finally(() => {
      executor.release(embedded);
    });
    if (done + chunk >= ids.length) logits = await executor.logits(hidden, Int32Array.of(part.length - 1));
    executor.release(hidden);
  }
  return logits;
}

/** Index of the largest number. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}
