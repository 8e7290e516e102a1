import type { GuardResult, Provenance } from "../artifact/manifest.ts";
import type { Plan } from "../artifact/plan.ts";
import type { Scores } from "../scoring/scores.ts";
import type { Job } from "./job.ts";
import { rangedRequest } from "./kv-range.ts";
import { pruningOf } from "./packed-model.ts";
import type { CodecCost } from "./packing.ts";
import { shippedPlan } from "./shipped.ts";
import { artifactStep } from "./steps/artifact.ts";
import { exitsStep, type TrainedArtifactExits, trainedExits } from "./steps/exits.ts";
import { libraryStep } from "./steps/library.ts";
import { planStep } from "./steps/plan.ts";
import { type Scheduled, scheduledStep } from "./steps/scheduled.ts";
import { scoresStep } from "./steps/scores.ts";
import { type Tuned, tuneStep } from "./steps/tune.ts";

/** What a run has produced so far. */
export interface CompressResult {
  readonly runFolder: string;
  /** Folder of the artifact; null when the run ended before. */
  readonly artifact: string | null;
  readonly scores: Scores | null;
  readonly plan: Plan | null;
  /** What was taken out of the checkpoint; null: nothing, or the run ended before. */
  readonly pruning: Provenance["pruning"] | null;
  /** Why another KV type is planned than would have been; null: none is, or the run ended before. */
  readonly kvNote: string | null;
  /** What each codec adds to the library of packed matrices; null where the quantizer needs none. */
  readonly library: readonly CodecCost[] | null;
  /** The plan beside the best uniform one; null where the recipe asks for no comparison. */
  readonly guard: GuardResult | null;
  /** What tuning learned; null: the recipe does not tune, or the run ended before. */
  readonly tuning: Tuned | null;
  /** How it runs fastest here; null: the recipe does not ask, or the run ended before. */
  readonly schedule: Scheduled["chosen"];
  /** The artifact's early exits as the recipe asked for them; null where it asks for none, or the run ended before. */
  readonly exits: TrainedArtifactExits | null;
  /** Where the budget came from, one line for people. */
  readonly budget: string;
  readonly budgetBytes: number;
  /** Tensors of the checkpoint that no matrix or vector uses. */
  readonly unusedTensors: readonly string[];
  /** What the tokenizer's files say that has no effect, a line each. */
  readonly tokenizerRemarks: readonly string[];
}

/** What the steps that ran have made. */
export async function resultOf(job: Job): Promise<CompressResult> {
  const { budget, checkpoint } = job.origin;
  const artifact = await job.got(artifactStep);
  const shipped = artifact && (await job.once(shippedPlan));
  const plan = shipped ? shipped.plan : await job.got(planStep);
  return {
    runFolder: job.folder,
    artifact: artifact && job.artifactFolder,
    scores: await job.got(scoresStep),
    plan,
    pruning: await pruningOf(job, shipped?.model ?? null),
    kvNote: plan && (await job.once(rangedRequest)).note,
    library: (await job.got(libraryStep))?.codecs ?? null,
    guard: shipped?.guard ?? null,
    tuning: await job.got(tuneStep),
    schedule: (await job.got(scheduledStep))?.chosen ?? null,
    exits: (await job.got(exitsStep)) && (await trainedExits(job)),
    ...{ budget: budget.explanation, budgetBytes: budget.bytes, unusedTensors: checkpoint.unused },
    tokenizerRemarks: job.facts.tokenizer.remarks,
  };
}
