import type { BlockStatistics } from "../calibration/statistics.ts";
import type { Maths } from "../maths/maths.ts";
import type { BlockSpec } from "../model/decoder-spec.ts";
import type { BlockRole } from "../model/matrix-id.ts";
import type { DenseMatrix, WeightSource } from "../model/weight-source.ts";
import type { SliceCount } from "./counts.ts";
import type { BlockCut } from "./cut.ts";

/** The ratios at which EDGE-LLM measures. */
export const LUC_PROBES: readonly number[] = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9];
/** The ratios that a plan chooses from: more of a block is gone with a half of it. */
export const PLAN_RATIOS: readonly number[] = [0.1, 0.2, 0.3, 0.5];

/** A block that is to lose some slices. */
export interface BlockToPrune {
  readonly block: number;
  /** The uncut model. */
  readonly source: WeightSource;
  readonly maths: Maths;
  /** Of the inputs of the block's matrices, as the blocks before it give them; collected when asked for. */
  statistics(): Promise<BlockStatistics>;
}

/** A block that has lost some slices. */
export interface PrunedBlock {
  readonly cut: BlockCut;
  /** Matrices that make up for what was cut, as cut; the others are the uncut model's. */
  readonly repaired: ReadonlyMap<BlockRole, DenseMatrix>;
}

/** What a block loses. */
export interface BlockPruning {
  readonly kind: PruningKind;
  /** Slices that stay. */
  readonly kept: number;
}

/** What of a model may be taken out so that less is left to compute. Chooses which; not how many. */
export interface PruningKind {
  /** What goes, a few words for people. */
  readonly summary: string;
  /** Shares of a block's slices at which its sensitivity is measured, rising. */
  readonly probes: readonly number[];
  /** Shares that a plan may take of a block, rising. */
  readonly ratios: readonly number[];
  /** Whether what is left of a block is to make up for its whole output: its last matrix is fitted anew. */
  readonly refits: boolean;
  /** What a block has of the kind; null: nothing. */
  slicesOf(block: BlockSpec): SliceCount | null;
  /** What is left of a block that keeps these of its slices, fewer than all. */
  cutOf(kept: readonly number[]): BlockCut;
  /**
   * A block that keeps so many slices, once for each number of `counts`, which never rise. Which go does not depend on
   * the other counts.
   */
  prune(block: BlockToPrune, counts: readonly number[]): AsyncIterable<PrunedBlock>;
  /** Null where a block can be pruned, else why not. */
  refuse?(block: BlockSpec): string | null;
}
