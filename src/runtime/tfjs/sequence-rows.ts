import { PROMPT_CHUNK_ROWS } from "../../model/workspace.ts";
import type { KvCache, RowSpan } from "../kv-cache.ts";
import { ownSpans } from "../kv-cache.ts";
import type { SequenceRows } from "./decoder.ts";
import { PagedKvCache } from "./kv-cache.ts";

/** The spans with their caches as this executor's own; throws where they do not cover the rows or cannot be run. */
export function checkedSpans(spans: readonly RowSpan[], rows: number): SequenceRows[] {
  return ownSpans(spans, rows, isPaged);
}

function isPaged(cache: KvCache): cache is PagedKvCache {
  return cache instanceof PagedKvCache;
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
