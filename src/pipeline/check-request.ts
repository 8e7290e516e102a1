import { UserError } from "../errors.ts";
import { openCheckpoint } from "../model/checkpoint.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import { allocatorOf } from "../planning/allocators/index.ts";
import { readBudget } from "../planning/budget/device-file.ts";
import { createPlanner, type PlanRequest } from "../planning/planner.ts";
import { codecsToScore, matricesToPlan, outerCodecsToScore } from "../planning/problem/matrices.ts";
import { SCORERS } from "../scoring/index.ts";
import { checkPruning, leastSpec } from "./check-pruning.ts";
import type { ExitSettings } from "./exit-settings.ts";
import { EXIT_TEXTS } from "./exit-texts/index.ts";
import { planRequest, type RunRequest } from "./plan-request.ts";
import { offeredForms } from "./planned-pruning.ts";
import { kindsOf } from "./prune-settings.ts";
import { needsScores, type Recipe, sequenceTokensFor, usesLibrary } from "./recipe.ts";
import type { RunOptions } from "./run-options.ts";
import { checkTuning } from "./tuning-text.ts";

/** Fewest sequences that can be split by use. */
const LEAST_EXIT_SEQUENCES = 4;

/**
 * Refuses, from the headers alone, a recipe or a budget (null: none is asked for) that cannot work, before anything
 * that takes long. Throws UserError.
 */
export function checkRequest(
  { recipe, calibration }: Pick<RunOptions, "recipe" | "calibration">,
  request: RunRequest,
  budgetBytes: number | null,
): void {
  const { spec, storedDtype } = request;
  if (recipe.prune) checkPruning(spec, recipe.prune);
  if (needsScores(recipe)) {
    checkSequenceTokens(recipe, spec);
    if (usesLibrary(recipe)) {
      const matrices = matricesToPlan(allocatorOf(recipe.plan).grain, { spec, settings: recipe.plan, storedDtype });
      // The library has no others.
      SCORERS[recipe.score.scorer].checkCodecs?.(recipe.score.options, {
        codecs: codecsToScore(matrices),
        embeddingCodecs: outerCodecsToScore(matrices),
      });
    }
  }
  if (recipe.tune) checkTuning(recipe.tune, { blocks: spec.blocks.length, contextTokens: request.contextTokens });
  if (recipe.exits) checkExitTexts(recipe, recipe.exits, { spec, files: calibration.length });
  const planner = createPlanner({ ...request, ...leastOf(recipe, spec), scores: null });
  if (budgetBytes !== null) planner.checkBudget(budgetBytes);
}

/** The model that is planned, of at most the bytes that pruning will leave. */
function leastOf({ prune }: Recipe, spec: DecoderSpec): Pick<PlanRequest, "spec" | "forms"> {
  if (!prune) return { spec };
  if (prune.ratio === "auto") return { spec, forms: offeredForms(spec, prune) };
  return { spec: leastSpec(spec, kindsOf(prune)[0], prune.ratio) };
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

/**
 * Throws UserError `CALIBRATION_SEQUENCE` where sequences would be longer than the model was made for, `EXIT_TOKENS`
 * where so few tokens are asked for that they cannot be split by use.
 */
export function checkExitTexts(
  recipe: Recipe,
  { data, tokens }: Pick<ExitSettings, "data" | "tokens">,
  { spec, files }: { readonly spec: DecoderSpec; readonly files: number },
): void {
  checkSequenceTokens(recipe, spec);
  const given = { files, sequenceTokens: sequenceTokensFor(recipe, spec.maxPositions) };
  const { parts, sequenceTokens: length } = EXIT_TEXTS[data].shape(given);
  const least = Math.ceil(LEAST_EXIT_SEQUENCES / parts) * parts * length;
  if (tokens >= least) return;
  const from = parts === 1 ? "" : ` from ${parts} files`;
  throw new UserError(
    "EXIT_TOKENS",
    `exits.tokens: expected at least ${least}, ${least / length} sequences of ${length}${from}, found ${tokens}`,
    "ask for more tokens",
  );
}

function checkSequenceTokens(recipe: Recipe, { maxPositions }: DecoderSpec): void {
  const sequenceTokens = sequenceTokensFor(recipe, maxPositions);
  if (sequenceTokens <= maxPositions) return;
  throw new UserError(
    "CALIBRATION_SEQUENCE",
    `calibration: sequenceTokens: expected at most the model's ${maxPositions} positions, found ${sequenceTokens}`,
    "leave sequenceTokens out of the recipe: it is then chosen for the model",
  );
}
