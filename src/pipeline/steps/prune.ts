import path from "node:path";
import { z } from "zod";
import { PrunedSlices } from "../../artifact/manifest.ts";
import { canLose, keptCounts } from "../../pruning/counts.ts";
import { BlockCut } from "../../pruning/cut.ts";
import { PRUNING_KINDS } from "../../pruning/index.ts";
import { pruneModel } from "../../pruning/prune-model.ts";
import { PrunedBlocks } from "../../pruning/pruned-blocks.ts";
import { lucRatios, meanErrors } from "../../pruning/ratios.ts";
import { SPREADS } from "../../pruning/spreads.ts";
import { mostRatio } from "../check-pruning.ts";
import type { Job, Step } from "../job.ts";
import { cutsOfPlan, pruningsOf } from "../planned-pruning.ts";
import { kindsOf, prunesByPlan, pruneSettingsOf } from "../prune-settings.ts";
import { calibrationStep } from "./calibration.ts";
import { planStep } from "./plan.ts";
import { pruningWorkOf, sensitivityStep } from "./sensitivity.ts";
import { weightsStep } from "./weights.ts";

/** What `prune.json` holds: what is left of each block. Repaired matrices are in `pruned/`. */
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

/** Takes slices out of the checkpoint and repairs what stays, block by block; a stopped run goes on at its block. */
export const pruneStep: Step<PrunedModel> = {
  name: "prune",
  schema: PrunedModel,
  wanted: ({ prune }) => prune !== undefined,

  /** A plan's cuts are all that counts of it. */
  async inputs(job) {
    await job.get(weightsStep);
    await job.get(calibrationStep);
    const { executor } = job.origin;
    if (prunesByPlan(job.recipe)) {
      await job.askPart(planStep, "cuts", cutsOfPlan);
      return { executor };
    }
    await job.ask(sensitivityStep);
    return { ...pruneSettingsOf(job.recipe), executor };
  },

  async compute(job, { key }) {
    const blocks = prunesByPlan(job.recipe) ? cutsOfPlan((await job.get(planStep)).value) : await keptByRatio(job);
    const prunings = pruningsOf(blocks);
    const parts = await pruneModel({ ...(await pruningWorkOf(job)), prunings, blocks: prunedBlocksOf(job, key) });
    return { key, blocks, ...parts };
  },

  async check(job, { key, changed }) {
    const blocks = prunedBlocksOf(job, key);
    for (const block of changed)
      if (!(await blocks.has(block))) return `pruned block ${block} is not there any more`;
    return null;
  },
};

/** The pruned blocks of a key, in the run folder. */
export function prunedBlocksOf(job: Job, key: string): PrunedBlocks {
  return new PrunedBlocks(path.join(job.folder, "pruned"), key);
}

/** What each block keeps of the one kind of a recipe with a ratio. */
async function keptByRatio(job: Job): Promise<(PrunedSlices | null)[]> {
  const [kind] = kindsOf(pruneSettingsOf(job.recipe));
  const counts = job.origin.checkpoint.spec.blocks.map(PRUNING_KINDS[kind].slicesOf);
  const kept = keptCounts(counts, await ratiosOf(job));
  return counts.map((count, block) => count && { kind, kept: kept[block], slices: count.slices });
}

/** The share of its slices that each block loses; blocks that can lose none are left out of the mean. */
async function ratiosOf(job: Job): Promise<number[]> {
  const { ratio, spread, ...settings } = pruneSettingsOf(job.recipe);
  if (ratio === "auto") throw new Error("a plan says what each block loses");
  const [kind] = kindsOf({ ratio, spread, ...settings });
  const { blocks } = job.origin.checkpoint.spec;
  const sensitivity = (await job.ask(sensitivityStep))?.value;
  const counts = blocks.map(PRUNING_KINDS[kind].slicesOf);
  const losing = [...counts.keys()].filter((block) => canLose(counts[block]));
  const most = mostRatio(counts.filter(canLose)) ?? 0;
  const errorsOf = SPREADS[spread];
  const measured = losing.flatMap((block) => sensitivity?.blocks[block][0] ?? []);
  const shares = errorsOf && sensitivity ? lucRatios(meanErrors(measured.map(errorsOf)), ratio, most) : null;
  const ratios = blocks.map(() => 0);
  for (const [i, block] of losing.entries()) ratios[block] = shares ? shares[i] : ratio;
  return ratios;
}
