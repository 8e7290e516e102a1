import { GuardResult } from "../artifact/manifest.ts";
import type { Plan } from "../artifact/plan.ts";
import type { WeightSource } from "../model/weight-source.ts";
import { createPlanner } from "../planning/planner.ts";
import type { MatrixLibrary } from "../quantization/library/matrix-library.ts";
import type { Scores } from "../scoring/scores.ts";
import { guardPlan, uniformRival } from "./guard-step.ts";
import { type Learning, learningOf } from "./learning.ts";
import {
  type LibraryStep,
  type LibraryWork,
  openLibrary,
  openRequantized,
  planPairs,
  requantizedStep,
} from "./library-step.ts";
import type { RunFolder, StepResult } from "./run-folder.ts";
import { hashOf } from "./step-key.ts";

/** What plans with a library are packed from. */
export interface PackedFrom {
  readonly work: LibraryWork;
  readonly library: StepResult<LibraryStep>;
  readonly scores: Scores | null;
  /** The names of steps that go with one plan. */
  readonly named: (step: string) => string;
}

/** What becomes the artifact. */
export interface ShippedPlan {
  readonly plan: Plan;
  /** Names all that the plan's matrices depend on. */
  readonly key: string;
  /** Its matrices, packed; null: the quantizer needs no statistics, and they are quantized while they are written. */
  readonly packed: WeightSource | null;
  readonly guard: GuardResult | null;
  /** What its learned numbers depend on; null where none were learned. */
  readonly learning: Learning["facts"] | null;
}

/**
 * The plan as it ships: its matrices packed anew where the recipe says so, and the plan replaced by the best uniform one of no more bytes
 * where that diverges less from the original weights on held-out text.
 */
export async function shippedPlan(
  run: RunFolder,
  plan: StepResult<Plan>,
  from: PackedFrom | null,
): Promise<ShippedPlan> {
  if (!from) return { plan: plan.value, key: plan.key, packed: null, guard: null, learning: null };
  const { work, scores, named } = from;
  const own = await packedPlan(run, from, plan);
  if (work.calibration.heldOut.length === 0) return { ...own, plan: plan.value, guard: null };
  const rival = uniformRival(createPlanner({ ...work.request, scores }), plan.value);
  const inputs = { plan: own.key, rival: rival && planPairs(rival), text: hashOf(work.calibration.heldOut) };
  const guard = await run.step(named("guard"), GuardResult, inputs, () =>
    guardPlan(work, { plan: plan.value, packed: own.packed, rival }),
  );
  if (guard.value.ships === "plan" || !rival) return { ...own, plan: plan.value, guard: guard.value };
  return {
    plan: rival,
    key: guard.key,
    packed: under(work, openLibrary(work), rival),
    guard: guard.value,
    learning: null,
  };
}

async function packedPlan(run: RunFolder, { work, library, named }: PackedFrom, plan: StepResult<Plan>) {
  if (!work.options.recipe.quantize.requantize) {
    return { key: hashOf([library.key, plan.key]), packed: under(work, openLibrary(work), plan.value), learning: null };
  }
  const pass = { work, plan: plan.value, learning: await learningOf(work.options) };
  const { key } = await requantizedStep(run, named("requantized"), { ...pass, libraryKey: library.key });
  return {
    key: hashOf([key, plan.key]),
    packed: under(work, openRequantized(pass), plan.value),
    learning: pass.learning?.facts ?? null,
  };
}

function under({ checkpoint }: LibraryWork, library: MatrixLibrary, plan: Plan): WeightSource {
  return library.under(checkpoint, new Map(planPairs(plan)));
}
