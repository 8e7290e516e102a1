import path from "node:path";
import { z } from "zod";
import { canLose, keptCounts } from "../../pruning/counts.ts";
import { BlockCut } from "../../pruning/cut.ts";
import { PRUNING_KIND_IDS, PRUNING_KINDS } from "../../pruning/index.ts";
import { pruneModel } from "../../pruning/prune-model.ts";
import { PrunedBlocks } from "../../pruning/pruned-blocks.ts";
import { lucRatios, meanErrors } from "../../pruning/ratios.ts";
import { SPREADS } from "../../pruning/spreads.ts";
import { mostRatio } from "../check-pruning.ts";
import type { Job, Step } from "../job.ts";
import { pruneSettingsOf } from "../prune-settings.ts";
import { calibrationStep } from "./calibration.ts";
import { pruningWorkOf, sensitivityStep } from "./sensitivity.ts";
import { weightsStep } from "./weights.ts";

/** What `prune.json` holds: what is left of each block. Repaired matrices are in `pruned/`. */
export const PrunedModel = z.strictObject({
  /** Names the files in `pruned/`. */
  key: z.string(),
  kind: z.enum(PRUNING_KIND_IDS),
  /** Slices that each block keeps, of those that it has. */
  kept: z.array(z.number().int()),
  slices: z.array(z.number().int()),
  cuts: z.array(BlockCut),
  /** Ids of the matrices that make up for what was cut. */
  repaired: z.array(z.string()),
});
export type PrunedModel = z.infer<typeof PrunedModel>;

/** Takes slices out of the checkpoint and repairs what stays, block by block; a stopped run goes on at its block. */
export const pruneStep: Step<PrunedModel> = {
  name: "prune",
  schema: PrunedModel,
  wanted: ({ prune }) => prune !== undefined,

  async inputs(job) {
    await job.get(weightsStep);
    await job.get(calibrationStep);
    await job.ask(sensitivityStep);
    return { ...pruneSettingsOf(job.recipe), executor: job.origin.executor };
  },

  async compute(job, { key }) {
    const work = await pruningWorkOf(job);
    const counts = work.source.spec.blocks.map((block) => work.kind.slicesOf(block));
    const ratios = await ratiosOf(job);
    const kept = keptCounts(counts, ratios);
    const { cuts, repaired } = await pruneModel({ ...work, kept, blocks: prunedBlocksOf(job, key) });
    const { kind } = pruneSettingsOf(job.recipe);
    return { key, kind, kept, slices: counts.map((count) => count?.slices ?? 0), cuts, repaired };
  },

  async check(job, { key, kept, slices }) {
    const blocks = prunedBlocksOf(job, key);
    for (const [block, count] of kept.entries())
      if (count < slices[block] && !(await blocks.has(block))) return `pruned block ${block} is not there any more`;
    return null;
  },
};

/** The pruned blocks of a key, in the run folder. */
export function prunedBlocksOf(job: Job, key: string): PrunedBlocks {
  return new PrunedBlocks(path.join(job.folder, "pruned"), key);
}

/** The share of its slices that each block loses; blocks that can lose none are left out of the mean. */
async function ratiosOf(job: Job): Promise<number[]> {
  const { kind, ratio, spread } = pruneSettingsOf(job.recipe);
  const { blocks } = job.origin.checkpoint.spec;
  const sensitivity = (await job.ask(sensitivityStep))?.value;
  const counts = blocks.map(PRUNING_KINDS[kind].slicesOf);
  const losing = [...counts.keys()].filter((block) => canLose(counts[block]));
  const most = mostRatio(counts.filter(canLose)) ?? 0;
  const errorsOf = SPREADS[spread];
  const measured = losing.flatMap((block) => sensitivity?.blocks[block] ?? []);
  const shares = errorsOf && sensitivity ? lucRatios(meanErrors(measured.map(errorsOf)), ratio, most) : null;
  const ratios = blocks.map(() => 0);
  for (const [i, block] of losing.entries()) ratios[block] = shares ? shares[i] : ratio;
  return ratios;
}
