import type { PrunedSlices } from "../../artifact/manifest.ts";
import { canLose, keptCounts } from "../../pruning/counts.ts";
import { PRUNING_KINDS } from "../../pruning/index.ts";
import { spreadRatios } from "../../pruning/spreads.ts";
import { mostRatio } from "../check-pruning.ts";
import type { Job, Step } from "../job.ts";
import { kindsOf, pruneSettingsOf, prunesByPlan } from "../prune-settings.ts";
import { missingOfPruned, PrunedModel, prunedModel } from "../pruned-model.ts";
import { calibrationStep } from "./calibration.ts";
import { sensitivityStep } from "./sensitivity.ts";
import { weightsStep } from "./weights.ts";

/** Takes slices out of the checkpoint by a ratio and repairs what stays, block by block. */
export const pruneStep: Step<PrunedModel> = {
  name: "prune",
  schema: PrunedModel,
  wanted: (recipe) => recipe.prune !== undefined && !prunesByPlan(recipe),

  async inputs(job) {
    await job.get(weightsStep);
    await job.get(calibrationStep);
    await job.ask(sensitivityStep);
    return { ...pruneSettingsOf(job.recipe), executor: job.origin.executor };
  },

  compute: async (job, { key }) => prunedModel(job, key, await keptByRatio(job)),
  check: missingOfPruned,
};

/** What each block keeps of the one kind of a recipe with a ratio. */
async function keptByRatio(job: Job): Promise<(PrunedSlices | null)[]> {
  const [kind] = kindsOf(pruneSettingsOf(job.recipe));
  const counts = job.origin.checkpoint.spec.blocks.map(PRUNING_KINDS[kind].slicesOf);
  const kept = keptCounts(counts, await ratiosOf(job));
  return counts.map((count, block) => count && { kind, kept: kept[block], slices: count.slices });
}

/** The share of its slices that each block loses; blocks that can lose none are left out of the mean. */
async function ratiosOf(job: Job): Promise<number[]> {
  const settings = pruneSettingsOf(job.recipe);
  const { ratio: target, spread } = settings;
  if (target === "auto") throw new Error("a plan says what each block loses");
  const { slicesOf } = PRUNING_KINDS[kindsOf(settings)[0]];
  const counts = job.origin.checkpoint.spec.blocks.map(slicesOf);
  const ratios = counts.map(() => 0);
  if (target === 0) return ratios;
  const losing = [...counts.keys()].filter((block) => canLose(counts[block]));
  const most = mostRatio(counts.filter(canLose)) ?? 0;
  const sensitivity = (await job.ask(sensitivityStep))?.value;
  const measured = losing.map((block) => sensitivity?.blocks[block][0] ?? null);
  const shares = spreadRatios(spread, { target, most }, measured);
  for (const [i, block] of losing.entries()) ratios[block] = shares[i];
  return ratios;
}
