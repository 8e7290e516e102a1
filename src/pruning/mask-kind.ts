import type { Kept } from "../codecs/codec.ts";

/**
 * What of a matrix may be 0 so that less is stored. Its shape stays, and so does what is computed with it: sparse
 * codecs store it, and quantizers choose which weights go, in the same pass in which they choose levels.
 */
export interface MaskKind {
  /** Shares of the weights that may go; the first is what a recipe gets that names none. */
  readonly ratios: readonly number[];
  /** What stays, at one of these ratios. */
  keptAt(ratio: number): Kept;
}
