import type { Checkpoint } from "../model/checkpoint.ts";
import { type DecoderSpec, headMatrixId } from "../model/decoder-spec.ts";
import type { KvType } from "../model/kv-type.ts";
import { idOf } from "../model/matrix-id.ts";
import type { Budget } from "../planning/budget/budget.ts";
import type { PlanRequest } from "../planning/planner.ts";
import { plannedBase } from "../runtime/base-bytes.ts";
import { exitShapeOf } from "./exit-settings.ts";
import { contextFor, type Recipe } from "./recipe.ts";
import type { RunOptions } from "./run-options.ts";
import { tunedShapeOf, windowEndsOf } from "./tune-settings.ts";

/** What a plan of a run depends on but its scores and budget. */
export interface RunRequest extends Omit<PlanRequest, "scores" | "kvType"> {
  readonly kvType: KvType;
  /** The KV type that command or device name; null: none. */
  readonly kvAsked: KvType | null;
}

/**
 * Everything a plan of this run depends on but scores and budget: command options first, then the device's, then the
 * recipe's. Throws UserError `EXIT_POINTS` or `EXIT_RANK` where the model is too small for the recipe's exits.
 */
export function planRequest(checkpoint: Checkpoint, options: RunOptions, { device }: Budget): RunRequest {
  const { spec } = checkpoint;
  const kvAsked = options.kvType ?? device?.kvType ?? null;
  return {
    spec,
    recipe: options.recipe,
    contextTokens: contextFor(options.recipe, spec.maxPositions, options.contextTokens ?? device?.context ?? undefined),
    storedDtype: storedDtypeOf(checkpoint),
    kvAsked,
    kvType: kvAsked ?? options.recipe.plan.kvType,
    kvChoices: kvAsked ? [] : options.recipe.plan.kvChoices,
    residency: options.residency ?? device?.residency ?? "packed",
    budgetCovers: options.budgetCovers ?? device?.budgetCovers ?? "model",
    ...plannedBase(options, spec),
    ...addedShapes(options.recipe, spec),
  };
}

/** What is added to the packed model of a recipe: its plan leaves room for that. Throws as {@link planRequest}. */
export function addedShapes(recipe: Recipe, spec: DecoderSpec): Pick<PlanRequest, "adapter" | "exits"> {
  const { exits } = recipe;
  return {
    adapter: tunedShapeOf(recipe, spec),
    exits: exits && exitShapeOf(exits, spec, windowEndsOf(recipe, spec)),
  };
}

/** Type of the blocks' weights in the checkpoint; of the output head where there are no blocks. */
export function storedDtypeOf(checkpoint: Checkpoint): string {
  return checkpoint.storedDtype(checkpoint.spec.blocks.length > 0 ? idOf(0, "attn.q") : headMatrixId(checkpoint.spec));
}
