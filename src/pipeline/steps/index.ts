import type { Step } from "../job.ts";
import { artifactStep } from "./artifact.ts";
import { calibrationStep } from "./calibration.ts";
import { exitPointsStep } from "./exit-points.ts";
import { exitTextStep } from "./exit-text.ts";
import { exitsStep } from "./exits.ts";
import { guardStep } from "./guard.ts";
import { libraryStep } from "./library.ts";
import { planStep } from "./plan.ts";
import { plannedPruneStep } from "./planned-prune.ts";
import { pruneStep } from "./prune.ts";
import { requantizedStep } from "./requantized.ts";
import { scheduledStep } from "./scheduled.ts";
import { scoresStep } from "./scores.ts";
import { sensitivityStep } from "./sensitivity.ts";
import { tuneStep } from "./tune.ts";
import { weightsStep } from "./weights.ts";

/** The steps of a compression, as they are told. Each gets what it needs: a new one is a file and a line here. */
export const STEPS = {
  weights: weightsStep, // every weight is read once, and finite
  calibration: calibrationStep, // token sequences out of the text files
  sensitivity: sensitivityStep, // how much pruning changes each block
  prune: pruneStep, // slices taken out by a ratio, and the rest repaired
  library: libraryStep, // every matrix packed at every codec, where the quantizer looks at what it multiplies
  scores: scoresStep, // how much each block or matrix matters
  plan: planStep, // a codec for each matrix, within the budget; and what goes, where that is the plan's to choose
  "planned-prune": plannedPruneStep, // what the plan leaves out, and the rest repaired
  requantized: requantizedStep, // the plan's matrices on the inputs that its own blocks produce
  guard: guardStep, // the plan beside the best uniform one
  artifact: artifactStep, // packed, hashed, with its manifest
  tune: tuneStep, // an adapter that is learned on the packed model, and added to it
  "exit-text": exitTextStep, // what exits learn from
  "exit-points": exitPointsStep, // where they promise most
  exits: exitsStep, // trained on the packed model, and added to it
  scheduled: scheduledStep, // how the artifact runs fastest on this machine
} as const satisfies Record<string, Step<unknown>>;

export type StepName = keyof typeof STEPS;

/** The steps up to one, and that one. Throws a plain Error for a name that is none of theirs. */
export function stepsUntil(last: StepName): Step<unknown>[] {
  const names = Object.keys(STEPS);
  if (!names.includes(last)) throw new Error(`step: expected ${names.join(", ")}, found ${last}`);
  return Object.values<Step<unknown>>(STEPS).slice(0, names.indexOf(last) + 1);
}
