import { alignedBytes } from "../../native/aligned.ts";

/** Every part begins at a multiple of this: what the kernels read with one load. */
const PART_ALIGN = 64;

/**
 * Aligned memory that is filled again and again, a block's weights at a time: streaming allocates only until it knows
 * the size.
 */
export class Arena {
  private memory: Uint8Array = new Uint8Array(0);
  private used = 0;
  private wanted = 0;

  /** Makes all of the memory free again: what was taken before is overwritten. */
  reset(): void {
    if (this.wanted > this.memory.length) this.memory = alignedBytes(this.wanted);
    this.used = 0;
    this.wanted = 0;
  }

  /** `length` bytes; of their own where the memory is too small, which the next reset mends. */
  take(length: number): Uint8Array {
    const rounded = Math.ceil(length / PART_ALIGN) * PART_ALIGN;
    this.wanted += rounded;
    if (this.used + rounded > this.memory.length) return alignedBytes(length);
    const part = this.memory.subarray(this.used, this.used + length);
    this.used += rounded;
    return part;
  }
}
