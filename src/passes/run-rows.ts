import type { AnyExecutor, RunBlocksOptions } from "../runtime/executor.ts";
import type { RowSpan } from "../runtime/kv-cache.ts";
import type { PassRows } from "./rows.ts";

/** Rows on their way through the blocks. Whoever holds them releases `hidden` in the end. */
export interface MovingRows {
  /** What the executor has of them, replaced whenever they move on. */
  hidden: unknown;
  /** Blocks run. */
  depth: number;
  readonly spans: readonly RowSpan[];
}

/** Embeds rows: they stand before block 0. */
export async function startRows(executor: AnyExecutor, { ids, spans }: PassRows): Promise<MovingRows> {
  return { hidden: await executor.embed(ids), depth: 0, spans };
}

/** Runs rows on to a depth. What they were is released then; after a failure they are what they were. */
export async function moveRows(
  executor: AnyExecutor,
  rows: MovingRows,
  depth: number,
  options?: RunBlocksOptions,
): Promise<void> {
  const next: unknown = await executor.runBlocks(rows.hidden, rows.depth, depth, rows.spans, options);
  executor.release(rows.hidden);
  rows.hidden = next;
  rows.depth = depth;
}

/** Rows embedded and run through the first `depth` blocks (default: all): a hidden state of the caller's to release. */
export async function runRows(
  executor: AnyExecutor,
  { ids, spans }: PassRows,
  options: RunBlocksOptions = {},
  depth: number = executor.spec.blocks.length,
): Promise<unknown> {
  const embedded: unknown = await executor.embed(ids);
  try {
    return await executor.runBlocks(embedded, 0, depth, spans, options);
  } finally {
    executor.release(embedded);
  }
}

/**
 * What blocks [from, to) make of hidden states given as numbers, [rows, hiddenSize]; nothing stays with the executor.
 */
export async function runNumbers(
  executor: AnyExecutor,
  { data, spans }: { readonly data: Float32Array; readonly spans: readonly RowSpan[] },
  [from, to]: readonly [from: number, to: number],
  options: RunBlocksOptions = {},
): Promise<Float32Array> {
  const input: unknown = executor.write(data, data.length / executor.spec.hiddenSize);
  let output: unknown;
  try {
    output = await executor.runBlocks(input, from, to, spans, options);
  } finally {
    executor.release(input);
  }
  return takeNumbers(executor, output);
}

/** The numbers of a hidden state, [rows, hiddenSize], which is released. */
export async function takeNumbers(executor: AnyExecutor, hidden: unknown): Promise<Float32Array> {
  try {
    return await executor.read(hidden);
  } finally {
    executor.release(hidden);
  }
}
