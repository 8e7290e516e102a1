import type { DecoderSpec } from "../../model/decoder-spec.ts";
import type { KvType } from "../../model/kv-type.ts";
import { type RopeRegime, ropeRegime } from "../../model/rope.ts";
import { KV_PAGE_POSITIONS, KV_WINDOW_SLACK } from "../../model/workspace.ts";
import type { NativeCache } from "../../native/addon.ts";
import type { KvCache } from "../kv-cache.ts";

/** What a cache must know of the blocks: the engine knows the rest. */
interface CacheShape {
  readonly blocks: number;
  /** Some block's rotary embedding depends on the length of the sequence. */
  readonly hasRegimes: boolean;
  /** The rotary regime of a sequence of so many tokens, over all blocks. */
  regime(totalTokens: number): string;
  /** Blocks with a sliding window. */
  readonly windows: readonly { readonly block: number; readonly window: number }[];
}

/** The shape of a model's caches. */
export function cacheShape({ blocks }: DecoderSpec): CacheShape {
  const ropes = blocks.flatMap(({ attention }) =>
    attention?.rope?.scaling.kind === "longrope" ? [attention.rope] : [],
  );
  const regimes = (totalTokens: number): RopeRegime[] => ropes.map((rope) => ropeRegime(rope, totalTokens));
  return {
    blocks: blocks.length,
    hasRegimes: ropes.length > 0,
    regime: (totalTokens) => regimes(totalTokens).join(),
    windows: blocks.flatMap(({ attention }, block) =>
      attention && attention.window !== null ? [{ block, window: attention.window }] : [],
    ),
  };
}

/** KV cache of one sequence in the engine's memory. */
export class NativeKvCache implements KvCache {
  readonly kvType: KvType;
  readonly maxTokens: number;
  /** The engine's own, for passes. */
  readonly native: NativeCache;
  private readonly shape: CacheShape;
  /**
   * Positions that a block with a window has held since it was last empty: how far back its pages reach follows from
   * it.
   */
  private readonly reached: number[];
  private reserved = 0;

  constructor(native: NativeCache, shape: CacheShape, options: { maxTokens: number; kvType: KvType }) {
    this.native = native;
    this.shape = shape;
    this.kvType = options.kvType;
    this.maxTokens = options.maxTokens;
    this.reached = shape.windows.map(() => 0);
  }

  length(block: number): number {
    return this.native.length(block);
  }

  truncate(length: number, fromBlock = 0): void {
    this.noteReached();
    this.native.truncate(Math.max(0, length), fromBlock);
    this.noteReached();
  }

  fork(): NativeKvCache {
    this.noteReached();
    const copy = new NativeKvCache(this.native.fork(), this.shape, this);
    copy.reserved = this.reserved;
    copy.reached.splice(0, copy.reached.length, ...this.reached);
    return copy;
  }

  reserve(totalTokens: number): void {
    if (totalTokens > this.maxTokens) {
      throw new Error(`KV cache: made for ${this.maxTokens} tokens, asked for ${totalTokens}`);
    }
    if (this.changesRegime(totalTokens)) {
      throw new Error(
        `KV cache: ${totalTokens} tokens need other rotary factors: truncate to 0 and feed the sequence anew`,
      );
    }
    this.reserved = totalTokens;
    if (this.shape.hasRegimes) this.native.setReserved(totalTokens);
  }

  /** As `reserve`, for a sequence that goes on to `totalTokens` at least. */
  cover(totalTokens: number): void {
    if (totalTokens > this.reserved) this.reserve(totalTokens);
  }

  /** Also true where a truncation went back further than a sliding window has kept. */
  needsRebuild(totalTokens: number): boolean {
    return this.changesRegime(totalTokens) || this.missingWindow() !== null;
  }

  /** Throws where a block has let go of positions that the next one's window still needs. */
  checkWindows(): void {
    const block = this.missingWindow();
    if (block === null) return;
    const length = this.length(block);
    throw new Error(
      `KV cache: block ${block} no longer holds the window before ${length}: truncate to 0 and feed anew`,
    );
  }

  /** Bytes of the pages of all blocks; shared pages count in full. */
  byteLength(): number {
    return this.native.byteLength();
  }

  dispose(): void {
    this.native.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  private changesRegime(totalTokens: number): boolean {
    const { hasRegimes, regime, blocks } = this.shape;
    if (!hasRegimes || regime(totalTokens) === regime(this.reserved)) return false;
    return Array.from({ length: blocks }, (_, block) => this.length(block)).some((length) => length > 0);
  }

  /** The first block whose next position's window reaches back before the first position held, or null. */
  private missingWindow(): number | null {
    if (this.shape.windows.length === 0) return null;
    this.noteReached();
    const missing = this.shape.windows.find(({ block, window }, i) => {
      const length = this.length(block);
      return length > 0 && firstHeld(this.reached[i], window) > Math.max(0, length - window + 1);
    });
    return missing?.block ?? null;
  }

  private noteReached(): void {
    this.shape.windows.forEach(({ block }, i) => {
      const length = this.length(block);
      this.reached[i] = length === 0 ? 0 : Math.max(this.reached[i], length);
    });
  }
}

/**
 * The first position that a block keeps after it has held `reached`: pages wholly before window and slack are dropped.
 */
function firstHeld(reached: number, window: number): number {
  const firstKept = Math.max(0, reached - (window + KV_WINDOW_SLACK));
  return Math.floor(firstKept / KV_PAGE_POSITIONS) * KV_PAGE_POSITIONS;
}
