import type { Step } from "../job.ts";
import { cutsOfPlan } from "../planned-pruning.ts";
import { prunesByPlan } from "../prune-settings.ts";
import { missingOfPruned, PrunedModel, prunedModel } from "../pruned-model.ts";
import { calibrationStep } from "./calibration.ts";
import { planStep } from "./plan.ts";
import { weightsStep } from "./weights.ts";

/** Takes out of the checkpoint what the plan leaves out, and repairs what stays, block by block. */
export const plannedPruneStep: Step<PrunedModel> = {
  name: "planned-prune",
  schema: PrunedModel,
  perDevice: true,
  wanted: prunesByPlan,

  /** A plan's cuts are all that counts of it. */
  async inputs(job) {
    await job.get(weightsStep);
    await job.get(calibrationStep);
    await job.askPart(planStep, "cuts", cutsOfPlan);
    return { executor: job.origin.executor };
  },

  compute: async (job, { key }) => prunedModel(job, key, cutsOfPlan((await job.get(planStep)).value)),
  check: missingOfPruned,
};
