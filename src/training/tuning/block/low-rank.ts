import type { LowRankPart } from "../../../model/low-rank.ts";
import type { BlockRole } from "../../../model/matrix-id.ts";

/** Where the slopes of a part's numbers are summed up. */
export interface LowRankSlopes {
  /** [rank, cols] */
  readonly a: Float32Array;
  /** [rows, rank] */
  readonly b: Float32Array;
}

/** An addition beside a matrix (LoRA, arXiv 2106.09685): y += factor B (A x). */
export interface LowRank {
  readonly part: LowRankPart;
  /** Null: it is applied, and not learned. */
  readonly slopes: LowRankSlopes | null;
}

/** Additions of one block. */
export type BlockAdditions = ReadonlyMap<BlockRole, LowRank>;
