import type { DescentState } from "../calibration/statistics.ts";
import type { PackedMatrix } from "../model/weight-source.ts";

/** A block as it is stored: matrices by their ids, at the codecs that they had, and the vectors that have changed. */
export interface RefinedBlock {
  readonly matrices: ReadonlyMap<string, PackedMatrix>;
  readonly vectors: ReadonlyMap<string, Float32Array>;
}

/** Refines the numbers of a whole block after its matrices have been quantized one by one. */
export interface BlockRefiner {
  /**
   * Refines one block; blocks come in rising order, and some may be left out. `packed` has all matrices of the block, `states` the hidden
   * states at its input, as the quantized blocks before it produce them. Throws Interrupted when stopped.
   */
  refine(
    block: number,
    packed: ReadonlyMap<string, PackedMatrix>,
    states: readonly DescentState[],
  ): Promise<RefinedBlock>;
}
