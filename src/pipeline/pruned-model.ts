import path from "node:path";
import { z } from "zod";
import { PrunedSlices } from "../artifact/manifest.ts";
import type { WeightSource } from "../model/weight-source.ts";
import { BlockCut, cutSpec } from "../pruning/cut.ts";
import { isPruningKind, PRUNING_KINDS } from "../pruning/index.ts";
import type { BlockPruning } from "../pruning/kind.ts";
import { pruneModel } from "../pruning/prune-model.ts";
import { PrunedBlocks } from "../pruning/pruned-blocks.ts";
import { prunedSource } from "../pruning/pruned-source.ts";
import type { Job } from "./job.ts";
import { calibrationStep, restoreCalibration } from "./steps/calibration.ts";

/** What a step that prunes holds: what is left of each block. Repaired matrices are in `pruned/`. */
export const PrunedModel = z.strictObject({
  /** Names the files in `pruned/`. */
  key: z.string(),
  /** Slices that each block keeps, of those that it had; null: no kind is for it. */
  blocks: z.array(PrunedSlices.nullable()),
  cuts: z.array(BlockCut),
  /** Ids of the matrices that make up for what was cut. */
  repaired: z.array(z.string()),
  /** Numbers of the blocks that have a file. */
  changed: z.array(z.number().int()),
});
export type PrunedModel = z.infer<typeof PrunedModel>;

/** Prunes the checkpoint; a run that was stopped goes on at its block. */
export async function prunedModel(
  job: Job,
  key: string,
  blocks: readonly (PrunedSlices | null)[],
): Promise<PrunedModel> {
  const prunings = blocks.map((block): BlockPruning | null => {
    if (!block) return null;
    if (!isPruningKind(block.kind)) throw new Error(`no kind of pruning: ${block.kind}`);
    return { kind: PRUNING_KINDS[block.kind], kept: block.kept };
  });
  const parts = await pruneModel({ ...(await pruningWorkOf(job)), prunings, blocks: prunedBlocksOf(job, key) });
  return { key, blocks: [...blocks], ...parts };
}

/** Null where the files of a pruned model are all there, else why it is made again. */
export async function missingOfPruned(job: Job, { key, changed }: PrunedModel): Promise<string | null> {
  const blocks = prunedBlocksOf(job, key);
  for (const block of changed) if (!(await blocks.has(block))) return `pruned block ${block} is not there any more`;
  return null;
}

/** The checkpoint as pruned. */
export function sourceOfPruned(job: Job, { key, cuts }: PrunedModel): WeightSource {
  const { checkpoint } = job.origin;
  const spec = cutSpec(checkpoint.spec, cuts);
  return prunedSource({
    ...{ source: checkpoint, spec, cutOf: (block) => cuts[block], repaired: prunedBlocksOf(job, key) },
  });
}

/** What pruning is done with. */
export async function pruningWorkOf(job: Job) {
  const { checkpoint: source, maths } = job.origin;
  const { sequences } = restoreCalibration((await job.get(calibrationStep)).value);
  const { onProgress, signal } = job.options;
  return { source, sequences, createExecutor: job.executors, maths, onProgress, signal };
}

/** The pruned blocks of a key, in the run folder. */
function prunedBlocksOf(job: Job, key: string): PrunedBlocks {
  return new PrunedBlocks(path.join(job.folder, "pruned"), key);
}
