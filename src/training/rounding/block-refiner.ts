import type { DescentState } from "../../calibration/statistics.ts";
import type { Maths } from "../../maths/maths.ts";
import type { PackedMatrix, WeightSource } from "../../model/weight-source.ts";
import type { WorkOptions } from "../../progress.ts";
import type { ExecutorFactory } from "../../runtime/executor.ts";
import type { BackendOptions } from "../../runtime/tfjs/backend.ts";

/** A block as it is stored: matrices by their ids, at the codecs that they had, and the vectors that have changed. */
export interface RefinedBlock {
  readonly matrices: ReadonlyMap<string, PackedMatrix>;
  readonly vectors: ReadonlyMap<string, Float32Array>;
}

/** Refines the numbers of a whole block after its matrices have been quantized one by one; to be closed. */
export interface BlockRefiner {
  /**
   * Refines one block; blocks come in rising order, and some may be left out. `packed` has all matrices of the block,
   * `states` the hidden states at its input, as the quantized blocks before it produce them. Throws Interrupted when
   * stopped.
   */
  refine(
    block: number,
    packed: ReadonlyMap<string, PackedMatrix>,
    states: readonly DescentState[],
  ): Promise<RefinedBlock>;
  close(): Promise<void>;
}

/** What a recipe says of refining blocks. */
export interface RefinerOptions extends BackendOptions {
  /** Steps for a block; absent: as many as the refiner does by itself. */
  readonly iterations?: number | undefined;
  readonly seed: number;
}

/** What blocks are refined with, as the pass over them has it. */
export interface RefinerInputs extends WorkOptions {
  readonly source: WeightSource;
  /** Calibration sequences, as the sweep that calls `refine` has them, in random order. */
  readonly sequences: readonly Int32Array[];
  /** Makes streamed executors, for the original model's states. */
  readonly createExecutor: ExecutorFactory;
  readonly maths: Maths;
}

/** How the blocks of a plan are refined. */
export interface RefinerSetup {
  /** All that the refined bytes depend on beside plan and text. */
  readonly facts: Readonly<Record<string, unknown>>;
  open(inputs: RefinerInputs): Promise<BlockRefiner>;
}
