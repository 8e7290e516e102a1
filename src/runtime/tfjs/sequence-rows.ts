import { PROMPT_CHUNK_ROWS } from "../../model/workspace.ts";
import type { RowSpan } from "../executor.ts";
import type { SequenceRows } from "./decoder.ts";
import { PagedKvCache } from "./kv-cache.ts";

/** The spans with their caches as this executor's own; throws where they do not cover the rows or cannot be run. */
export function checkedSpans(spans: readonly RowSpan[], rows: number): SequenceRows[] {
  const covered = spans.reduce((sum, { count }) => sum + count, 0);
  if (covered !== rows) throw new Error(`runBlocks: the spans cover ${covered} rows of ${rows}`);
  return spans.map(({ cache, position, count }) => {
    if (count < 1) throw new Error("runBlocks: a span of no rows");
    if (cache === null) {
      if (position !== 0) throw new Error(`runBlocks: a span without a cache starts at position ${position}`);
      return { cache, position, count };
    }
    if (!(cache instanceof PagedKvCache)) throw new Error("runBlocks: the cache is of another executor");
    cache.cover(position + count);
    return { cache, position, count };
  });
}

/** Groups of at most PROMPT_CHUNK_ROWS rows; a sequence without a cache is never cut. */
export function chunksOf(sequences: readonly SequenceRows[]): SequenceRows[][] {
  const chunks: SequenceRows[][] = [];
  let room = 0;
  const add = (sequence: SequenceRows) => {
    if (sequence.count > room) {
      chunks.push([]);
      room = PROMPT_CHUNK_ROWS;
    }
    chunks[chunks.length - 1].push(sequence);
    room -= sequence.count;
  };
  for (const sequence of sequences) {
    if (!sequence.cache) {
      add(sequence);
      continue;
    }
    for (let done = 0; done < sequence.count; done += PROMPT_CHUNK_ROWS) {
      add({
        ...sequence,
        position: sequence.position + done,
        count: Math.min(PROMPT_CHUNK_ROWS, sequence.count - done),
      });
    }
  }
  return chunks;
}
