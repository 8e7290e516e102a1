import { openStatisticsDescent, type StatisticsDescent } from "../calibration/statistics.ts";
import { throwIfAborted } from "../errors.ts";
import { blockName } from "../model/matrix-id.ts";
import { BlockPruner, type PruningWork } from "./block-pruner.ts";
import { type BlockCut, cutSpec, isLeftOut, UNCUT } from "./cut.ts";
import type { BlockPruning } from "./kind.ts";
import { plannedCuts } from "./planned-cuts.ts";
import type { PrunedBlocks } from "./pruned-blocks.ts";
import { prunedSource } from "./pruned-source.ts";

export interface PruneModelOptions extends PruningWork {
  /** Of each block; null: it loses nothing. */
  readonly prunings: readonly (BlockPruning | null)[];
  /** Keeps the pruned blocks; what is there already is taken as it is, so that a stopped run goes on. */
  readonly blocks: PrunedBlocks;
}

/** What pruning has left of a model. */
export interface PrunedParts {
  readonly cuts: BlockCut[];
  /** Ids of the matrices that make up for what is gone. */
  readonly repaired: string[];
  /** Numbers of the blocks that are kept apart: those that lost something, and those that make up for others. */
  readonly changed: number[];
}

/**
 * Prunes block by block, from the first to the last, each by the inputs that the pruned blocks before it give. The last
 * block before some that are left out whole makes up for them. Throws UserError as `prepareInput`, Interrupted when
 * stopped.
 */
export async function pruneModel(options: PruneModelOptions): Promise<PrunedParts> {
  const { source, prunings, blocks, onProgress, signal } = options;
  const { spec } = source;
  const cuts = plannedCuts(spec, prunings);
  const planned = cutSpec(spec, cuts);
  const gone = planned.blocks.map((block, i) => isLeftOut(block) && !isLeftOut(spec.blocks[i]));
  const leftOutAfter = (block: number) => {
    const next = gone.indexOf(false, block + 1);
    return (next < 0 ? gone.length : next) - block - 1;
  };
  const losing = prunings.map((one, i) => (cuts[i] === UNCUT ? null : one));
  const changed = [...gone.keys()].filter((block) => losing[block] || (!gone[block] && leftOutAfter(block) > 0));
  const pruned = prunedSource({ source, spec: planned, cutOf: (block) => cuts[block], repaired: blocks });
  const pruner = new BlockPruner(options);
  let descent: StatisticsDescent | undefined;
  // Opened, and moved on, only as far as somebody asks: a cut without a repair runs nothing.
  const descentAt = async (block: number) => {
    descent ??= await openStatisticsDescent({ ...options, onProgress: undefined, keepOutputs: false });
    while (descent.at < block) await descent.advance(changed.includes(descent.at) ? pruned : undefined);
    return descent;
  };
  const repaired: string[] = [];
  try {
    for (const [done, block] of changed.entries()) {
      throwIfAborted(signal);
      if (!(await blocks.has(block))) {
        const stretch = {
          block,
          kind: losing[block]?.kind ?? null,
          counts: [losing[block]?.kept ?? 0],
          leftOut: gone[block] ? 0 : leftOutAfter(block),
        };
        const inputs = {
          states: async () => (await descentAt(block)).states,
          statistics: async () => (await descentAt(block)).collect(),
        };
        for await (const one of pruner.prune(stretch, inputs)) await blocks.put(block, one);
      }
      const facts = await blocks.factsOf(block);
      cuts[block] = facts.cut;
      repaired.push(...facts.repaired);
      onProgress?.({ stage: "pruning", done: done + 1, total: changed.length, detail: blockName(block) });
    }
  } finally {
    await pruner.close();
    await descent?.close();
  }
  return { cuts, repaired, changed };
}
