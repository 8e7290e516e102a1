import { openStatisticsDescent, type StatisticsDescent } from "../calibration/statistics.ts";
import { throwIfAborted } from "../errors.ts";
import type { Maths } from "../maths/maths.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import { blockName } from "../model/matrix-id.ts";
import type { WeightSource } from "../model/weight-source.ts";
import type { WorkOptions } from "../progress.ts";
import type { ExecutorFactory } from "../runtime/executor.ts";
import { type BlockCut, cutSpec, UNCUT } from "./cut.ts";
import type { PruningKind } from "./kind.ts";
import type { PrunedBlocks } from "./pruned-blocks.ts";
import { prunedSource } from "./pruned-source.ts";

/** What blocks are pruned, or their pruning is tried, with. */
export interface PruningWork extends WorkOptions {
  /** The uncut model. */
  readonly source: WeightSource;
  readonly sequences: readonly Int32Array[];
  /** Makes a streamed executor. */
  readonly createExecutor: ExecutorFactory;
  readonly maths: Maths;
  readonly kind: PruningKind;
}

export interface PruneModelOptions extends PruningWork {
  /** Slices that each block keeps. */
  readonly kept: readonly number[];
  /** Keeps the pruned blocks; what is there already is taken as it is, so that a stopped run goes on. */
  readonly blocks: PrunedBlocks;
}

/**
 * Prunes block by block, from the first to the last, each by the inputs that the pruned blocks before it give. Gives
 * what is left of each, and the ids of the matrices that were repaired. Throws UserError as `prepareInput`, Interrupted
 * when stopped.
 */
export async function pruneModel(options: PruneModelOptions): Promise<{ cuts: BlockCut[]; repaired: string[] }> {
  const { source, kind, kept, blocks, maths, onProgress, signal } = options;
  const { spec } = source;
  const cuts = plannedCuts(spec, kind, kept);
  const last = cuts.findLastIndex((cut) => cut !== UNCUT);
  const repaired: string[] = [];
  if (last < 0) return { cuts, repaired };
  const pruned = prunedSource({
    ...{ source, spec: cutSpec(spec, cuts), cutOf: (block) => cuts[block], repaired: blocks },
  });
  let descent: StatisticsDescent | undefined;
  // Opened, and moved on, only as far as somebody asks: a kind without a repair runs nothing.
  const statisticsOf = async (block: number) => {
    descent ??= await openStatisticsDescent({ ...options, onProgress: undefined, keepOutputs: false });
    while (descent.at < block) await descent.advance(cuts[descent.at] === UNCUT ? undefined : pruned);
    return descent.collect();
  };
  try {
    for (let block = 0; block <= last; block++) {
      if (cuts[block] === UNCUT) continue;
      throwIfAborted(signal);
      const wanted = { block, source, maths, statistics: () => statisticsOf(block) };
      if (!(await blocks.has(block))) {
        for await (const one of kind.prune(wanted, [kept[block]])) await blocks.put(block, one);
      }
      const facts = await blocks.factsOf(block);
      cuts[block] = facts.cut;
      repaired.push(...facts.repaired);
      onProgress?.({ stage: "pruning", done: block + 1, total: last + 1, detail: blockName(block) });
    }
  } finally {
    await descent?.close();
  }
  return { cuts, repaired };
}

/** Cuts of the sizes that are wanted, of whichever slices; UNCUT where a block keeps all that it has. */
export function plannedCuts(spec: DecoderSpec, kind: PruningKind, kept: readonly number[]): BlockCut[] {
  return spec.blocks.map((block, i) => {
    const slices = kind.slicesOf(block)?.slices ?? 0;
    return kept[i] >= slices ? UNCUT : kind.cutOf(Array.from({ length: kept[i] }, (_, slice) => slice));
  });
}
