import path from "node:path";
import { UserError } from "../errors.ts";
import { openCheckpoint } from "../model/checkpoint.ts";
import { prunedRequest } from "../pipeline/model.ts";
import { planRequest, type RunRequest } from "../pipeline/plan-request.ts";
import { measuredForms } from "../pipeline/planned-pruning.ts";
import { prunesByPlan } from "../pipeline/prune-settings.ts";
import type { Recipe } from "../pipeline/recipe.ts";
import { peek, readResult } from "../pipeline/run-folder.ts";
import { type RunOptions, savedOptions } from "../pipeline/run-options.ts";
import { pruneStep } from "../pipeline/steps/prune.ts";
import { scoresStep } from "../pipeline/steps/scores.ts";
import { sensitivityStep } from "../pipeline/steps/sensitivity.ts";
import { allocatorOf, UNRANKED } from "../planning/allocators/index.ts";
import type { Budget } from "../planning/budget/budget.ts";
import { readBudget } from "../planning/budget/device-file.ts";
import type { PlanRequest } from "../planning/planner.ts";
import { Scores } from "../scoring/scores.ts";
import { mergeRunOptions, type RunChoice } from "./options/run-options.ts";
import type { Terminal } from "./terminal.ts";

/** All that `layerwise plan` plans from. */
export interface PlanInput {
  readonly request: PlanRequest;
  /** Null where none was asked for. */
  readonly budget: Budget | null;
  /** What a run folder would remember of these choices. */
  readonly options: RunOptions;
  /** The source is a run folder. */
  readonly isRun: boolean;
}

export interface PlanChoice extends RunChoice {
  readonly source: string;
  readonly scores?: string | undefined;
  /** The plan is made by the pipeline, which scores where it must. */
  readonly save?: boolean | undefined;
}

/** Reads headers, recipe and saved scores of a checkpoint or a run folder; no weights. */
export async function readPlanInput(choice: PlanChoice, terminal: Terminal): Promise<PlanInput> {
  const saved = await savedOptions(choice.source);
  const text = choice.budget ?? saved?.budget;
  const budget = text === undefined ? null : await readBudget(text);
  const asked = await mergeRunOptions(saved?.checkpoint ?? choice.source, { ...choice, budget: text ?? "auto" }, saved);
  const checkpoint = await openCheckpoint(asked.checkpoint);
  await checkpoint.close();
  const scores = await readScores(choice, saved !== null);
  const planned = scores === null && !choice.save ? withoutRanking(asked, choice, saved !== null, terminal) : asked;
  const whole = planRequest(checkpoint, planned, budget ?? NO_DEVICE);
  const request = { ...(saved ? await prunedInput(choice.source, planned.recipe, whole) : whole), scores };
  return { request, budget, options: asked, isRun: saved !== null };
}

/** What is planned in a run folder: the model as pruned, or what each of its blocks may lose by the plan. */
async function prunedInput(run: string, recipe: Recipe, whole: RunRequest): Promise<PlanRequestOfRun> {
  if (!prunesByPlan(recipe)) {
    const pruned = recipe.prune ? await peek(run, pruneStep) : null;
    return pruned ? prunedRequest(recipe, whole, pruned) : whole;
  }
  const measured = recipe.plan.allocator === UNRANKED ? null : await peek(run, sensitivityStep);
  return measured ? { ...whole, forms: measuredForms(whole.spec, measured) } : whole;
}

type PlanRequestOfRun = Omit<PlanRequest, "scores">;

const NO_DEVICE: Budget = { bytes: 0, kind: "expression", explanation: "", device: null };

/** Scores of the file asked for, or of the run folder where it has them. */
async function readScores({ scores: file, source }: PlanChoice, isRun: boolean): Promise<Scores | null> {
  if (file !== undefined) return readResult(file, Scores);
  return isRun ? peek(source, scoresStep) : null;
}

/**
 * Without scores nothing can be ranked: plans uniformly, and says so. A recipe that was asked for and ranks is refused
 * with the commands that score: UserError SCORES_MISSING.
 */
function withoutRanking(
  options: RunOptions,
  { recipe: asked, source }: PlanChoice,
  isRun: boolean,
  terminal: Terminal,
) {
  const { recipe } = options;
  if (!allocatorOf(recipe.plan).needsScores) return options;
  if (asked !== undefined) {
    const out = path.join("outputs", path.basename(path.resolve(source)));
    const score = `layerwise score ${source} --recipe ${asked}`;
    throw new UserError(
      "SCORES_MISSING",
      `${source}: recipe ${asked}: expected scores to plan by, found none`,
      isRun ? `first ${score}` : `first ${score} --out ${out}, then layerwise plan ${out}`,
    );
  }
  terminal.note(`layerwise: no scores yet: planned by ${UNRANKED} instead of ${recipe.plan.allocator}`);
  return { ...options, recipe: { ...recipe, plan: { ...recipe.plan, allocator: UNRANKED } } };
}
