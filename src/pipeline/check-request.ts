import { openCheckpoint } from "../model/checkpoint.ts";
import { readBudget } from "../planning/budget/device-file.ts";
import { createPlanner } from "../planning/planner.ts";
import { checkSequenceTokens } from "./calibration-step.ts";
import { checkExitTokens } from "./exit-text-step.ts";
import { planRequest, type RunRequest } from "./plan-step.ts";
import { sequenceTokensFor } from "./recipe.ts";
import type { RunOptions } from "./run-options.ts";
import { checkProbes, needsScores } from "./score-step.ts";

/**
 * Refuses, from the headers alone, a recipe or a budget (null: none is asked for) that cannot work, before anything that takes long. Throws
 * UserError.
 */
export function checkRequest(
  { recipe, calibration }: Pick<RunOptions, "recipe" | "calibration">,
  request: RunRequest,
  budgetBytes: number | null,
): void {
  if (needsScores(recipe)) {
    checkSequenceTokens(recipe, request.spec);
    checkProbes(recipe, request);
  }
  const { exits } = recipe;
  if (exits) {
    checkSequenceTokens(recipe, request.spec);
    const sequenceTokens = sequenceTokensFor(recipe, request.spec.maxPositions);
    checkExitTokens(exits, { files: calibration.length, sequenceTokens });
  }
  const planner = createPlanner({ ...request, scores: null });
  if (budgetBytes !== null) planner.checkBudget(budgetBytes);
}

/** The same for a run that has not begun: its checkpoint is opened and closed again. */
export async function checkRun(options: RunOptions): Promise<void> {
  const budget = await readBudget(options.budget);
  const checkpoint = await openCheckpoint(options.checkpoint);
  try {
    checkRequest(options, planRequest(checkpoint, options, budget), budget.bytes);
  } finally {
    await checkpoint.close();
  }
}
