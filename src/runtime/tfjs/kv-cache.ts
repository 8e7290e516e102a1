import type { BlockSpec, DecoderSpec } from "../../model/decoder-spec.ts";
import type { KvType } from "../../model/kv-type.ts";
import { type RopeRegime, ropeRegime } from "../../model/rope.ts";
import { KV_PAGE_POSITIONS, KV_WINDOW_SLACK } from "../../model/workspace.ts";
import type { KvCache } from "../kv-cache.ts";
import { GrowingArray } from "./growing-array.ts";
import { copyPage, type KvShape, newPage, type Page, pageBytes, widenKeys, widenValues, writeRows } from "./kv-page.ts";

/** What one block holds: pages[i] starts at position (firstPage + i) * 64. */
interface BlockPages {
  pages: Page[];
  firstPage: number;
  length: number;
}

/** A block's keys and values in f32, in the orientation that the attention products take. */
export interface WidenedBlock {
  /** Position of the first one held. */
  readonly start: number;
  readonly positions: number;
  /** [kvHeads, headDim, positions]; overwritten by the next call that gets the same buffers. */
  readonly keys: Float32Array;
  /** [kvHeads, positions, headDim] */
  readonly values: Float32Array;
}

/** Arrays that blocks are widened into, one block at a time; an executor has one set for all its caches. */
export interface WideningBuffers {
  readonly keys: GrowingArray;
  readonly values: GrowingArray;
  readonly page: GrowingArray;
}

export function createWideningBuffers(): WideningBuffers {
  return { keys: new GrowingArray(), values: new GrowingArray(), page: new GrowingArray() };
}

/** KV cache of one sequence in JavaScript memory. */
export class PagedKvCache implements KvCache {
  readonly kvType: KvType;
  readonly maxTokens: number;
  private readonly spec: DecoderSpec;
  private blocks: BlockPages[];
  private reserved = 0;

  constructor(spec: DecoderSpec, options: { maxTokens: number; kvType: KvType }) {
    this.spec = spec;
    this.kvType = options.kvType;
    this.maxTokens = options.maxTokens;
    this.blocks = spec.blocks.map(() => ({ pages: [], firstPage: 0, length: 0 }));
  }

  length(block: number): number {
    return this.pagesOf(block).length;
  }

  truncate(length: number, fromBlock = 0): void {
    for (const held of this.blocks.slice(fromBlock)) {
      if (held.length <= length) continue;
      held.length = Math.max(0, length);
      held.pages.length = Math.max(0, Math.ceil(held.length / KV_PAGE_POSITIONS) - held.firstPage);
      if (held.pages.length === 0) held.firstPage = Math.floor(held.length / KV_PAGE_POSITIONS);
    }
  }

  fork(): PagedKvCache {
    const copy = new PagedKvCache(this.spec, this);
    copy.reserved = this.reserved;
    copy.blocks = this.blocks.map(({ pages, firstPage, length }) => {
      for (const page of pages) page.shared = true;
      return { pages: [...pages], firstPage, length };
    });
    return copy;
  }

  reserve(totalTokens: number): void {
    this.checkTotal(totalTokens);
    if (this.changesRegime(totalTokens)) {
      throw new Error(
        `KV cache: ${totalTokens} tokens need other rotary factors: truncate to 0 and feed the sequence anew`,
      );
    }
    this.reserved = totalTokens;
  }

  /** As `reserve`, for a sequence that goes on to `totalTokens` at least. */
  cover(totalTokens: number): void {
    if (totalTokens > this.reserved) this.reserve(totalTokens);
  }

  /** Also true where a truncation went back further than a sliding window has kept. */
  needsRebuild(totalTokens: number): boolean {
    return this.changesRegime(totalTokens) || this.blocks.some((held, i) => missesWindow(held, this.spec.blocks[i]));
  }

  /** The rotary regime of this sequence in a block. */
  regime(block: number): RopeRegime {
    return regimeOf(this.spec.blocks[block], this.reserved);
  }

  dispose(): void {
    this.blocks = [];
  }

  /**
   * Appends keys and values of `count` positions, [count, kvHeads * headDim] each, to a block that holds `position`
   * ones.
   */
  append(block: number, position: number, keys: Float32Array, values: Float32Array): void {
    const held = this.pagesOf(block);
    const shape = this.attentionOf(block);
    const width = shape.kvHeads * shape.headDim;
    const count = keys.length / width;
    this.checkTotal(position + count);
    this.checkPosition(block, position);
    for (let done = 0; done < count; ) {
      const first = held.length % KV_PAGE_POSITIONS;
      const rows = Math.min(count - done, KV_PAGE_POSITIONS - first);
      const part = (all: Float32Array) => all.subarray(done * width, (done + rows) * width);
      writeRows(this.writablePage(held, shape), first, part(keys), part(values), shape);
      held.length += rows;
      done += rows;
    }
  }

  /** Throws unless a block holds exactly `position` positions and those that its window still needs. */
  checkPosition(block: number, position: number): void {
    const held = this.pagesOf(block);
    if (held.length !== position) {
      throw new Error(`KV cache: block ${block} holds ${held.length} positions, the rows start at ${position}`);
    }
    if (missesWindow(held, this.spec.blocks[block])) {
      throw new Error(
        `KV cache: block ${block} no longer holds the window before ${position}: truncate to 0 and feed anew`,
      );
    }
  }

  /** All positions that a block holds, in f32. */
  widen(block: number, buffers: WideningBuffers): WidenedBlock {
    const held = this.pagesOf(block);
    const shape = this.attentionOf(block);
    const start = held.firstPage * KV_PAGE_POSITIONS;
    const positions = held.length - start;
    const length = shape.kvHeads * shape.headDim * positions;
    const keys = buffers.keys.take(length);
    const values = buffers.values.take(length);
    held.pages.forEach((page, i) => {
      const first = i * KV_PAGE_POSITIONS;
      const rows = Math.min(KV_PAGE_POSITIONS, positions - first);
      widenKeys(page, rows, keys, positions, first, shape, buffers.page);
      widenValues(page, rows, values, positions, first, shape);
    });
    return { start, positions, keys, values };
  }

  /** Drops pages that lie wholly before what the block's sliding window and its slack keep. */
  trim(block: number): void {
    const window = this.attentionOf(block).window;
    if (window === null) return;
    const held = this.pagesOf(block);
    const firstKept = Math.max(0, held.length - (window + KV_WINDOW_SLACK));
    const drop = Math.floor(firstKept / KV_PAGE_POSITIONS) - held.firstPage;
    if (drop <= 0) return;
    held.pages.splice(0, drop);
    held.firstPage += drop;
  }

  /** Bytes of the pages of all blocks; shared pages count in full. */
  byteLength(): number {
    return this.blocks.flatMap((held) => held.pages).reduce((sum, page) => sum + pageBytes(page), 0);
  }

  /** The page that position `held.length` belongs to, made or copied if it must be. */
  private writablePage(held: BlockPages, shape: KvShape): Page {
    const number = Math.floor(held.length / KV_PAGE_POSITIONS);
    const index = number - held.firstPage;
    if (index === held.pages.length) {
      const positions = Math.min(KV_PAGE_POSITIONS, this.maxTokens - number * KV_PAGE_POSITIONS);
      held.pages.push(newPage(this.kvType, positions, shape));
    }
    if (held.pages[index].shared) held.pages[index] = copyPage(held.pages[index]);
    return held.pages[index];
  }

  private changesRegime(totalTokens: number): boolean {
    const changes = (block: BlockSpec) => regimeOf(block, totalTokens) !== regimeOf(block, this.reserved);
    return this.blocks.some((held) => held.length > 0) && this.spec.blocks.some(changes);
  }

  private checkTotal(totalTokens: number): void {
    if (totalTokens > this.maxTokens) {
      throw new Error(`KV cache: made for ${this.maxTokens} tokens, asked for ${totalTokens}`);
    }
  }

  private pagesOf(block: number): BlockPages {
    const held = this.blocks[block];
    if (!held) throw new Error(`KV cache: no block ${block}, or the cache is disposed of`);
    return held;
  }

  private attentionOf(block: number) {
    const attention = this.spec.blocks[block].attention;
    if (!attention) throw new Error(`KV cache: block ${block} has no attention`);
    return attention;
  }
}

function regimeOf(block: BlockSpec, totalTokens: number): RopeRegime {
  const rope = block.attention?.rope;
  return rope ? ropeRegime(rope, totalTokens) : "short";
}

/** True where the next position's window reaches back before the first position held. */
function missesWindow(held: BlockPages, block: BlockSpec): boolean {
  const window = block.attention?.window ?? null;
  if (window === null || held.length === 0) return false;
  return held.pages.length === 0 || held.firstPage * KV_PAGE_POSITIONS > Math.max(0, held.length - window + 1);
}
