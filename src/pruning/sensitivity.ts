import { openStatisticsDescent } from "../calibration/statistics.ts";
import { blockName } from "../model/matrix-id.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import { BlockPruner, type PruningWork } from "./block-pruner.ts";
import { OutputDivergence } from "./output-divergence.ts";
import { type BlockSensitivity, type PruningTry, Trials } from "./trials.ts";

/** What is known of some blocks, in order, for each kind that is tried; null: a block has nothing of it to lose. */
export type Sensitivities = readonly (readonly (BlockSensitivity | null)[])[];

export interface SensitivityWork extends PruningWork {
  readonly tries: readonly PruningTry[];
  /** What is measured on. */
  readonly measured: readonly Int32Array[];
  /** Whether the whole model's output is compared as well. */
  readonly divergences: boolean;
  /** Of the first blocks, by an earlier run that was stopped. */
  readonly saved: Sensitivities;
  /** Called with all blocks so far, after each. */
  keep(found: Sensitivities): Promise<void>;
}

/**
 * Prunes each block by itself, in every way that is tried, and compares its outputs on the inputs that the uncut model
 * gives. A block that is left out whole is made up for by the one before it. Throws as `pruneModel`.
 */
export async function measureSensitivity(work: SensitivityWork): Promise<Sensitivities> {
  const { source, sequences, measured, saved, keep, createExecutor, onProgress, signal } = work;
  const blocks = source.spec.blocks.length;
  const options = { ...work, onProgress: undefined };
  const repairs = await openStatisticsDescent({ ...options, sequences });
  const tried = await openStatisticsDescent({ ...options, sequences: measured });
  const pruner = new BlockPruner(work);
  let executor: AnyExecutor | null = null;
  let divergence: OutputDivergence | null = null;
  try {
    if (work.divergences && saved.length < blocks) {
      executor = await createExecutor(source);
      divergence = new OutputDivergence(executor, signal);
      await divergence.open(tried.states);
    }
    const trials = new Trials({ pruner, repairs, tried, divergence }, source.spec, work.tries);
    const found = [...saved];
    for (let block = 0; block < blocks; block++) {
      if (block >= saved.length) {
        found.push(await trials.ofBlock());
        await keep(found);
        onProgress?.({ stage: "sensitivity", done: block + 1, total: blocks, detail: blockName(block) });
      }
      await trials.advance();
    }
    return found;
  } finally {
    divergence?.close();
    await executor?.dispose();
    await pruner.close();
    await tried.close();
    await repairs.close();
  }
}
