import type { MemorySum, Plan, PlanUnit } from "../artifact/plan.ts";
import { CODECS, type CodecId } from "../codecs/index.ts";
import { UserError } from "../errors.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import { type MemoryOptions, memorySum } from "../model/memory.ts";
import type { Scores } from "../scoring/scores.ts";
import type { AllocationProblem } from "./allocators/allocator.ts";
import { ALLOCATORS } from "./allocators/index.ts";
import { budgetTooSmall } from "./infeasible.ts";
import { memoryReader } from "./memory-reader.ts";
import { codecIn, importanceLowered, predictedLoss } from "./prediction.ts";
import { blockImportance } from "./ranking.ts";
import type { PlanSettings } from "./settings.ts";
import { type Assignment, assignBlocks, blockCodecs, type Unit, unitsOf } from "./units.ts";

/** All that a plan depends on but the budget. */
export interface PlanRequest {
  readonly spec: DecoderSpec;
  /** Needed by allocators that rank blocks; with `uniform` they only add the prediction. */
  readonly scores: Scores | null;
  readonly recipe: { readonly plan: PlanSettings };
  /** Positions that the KV cache must hold. */
  readonly contextTokens: number;
  /** Type of the checkpoint's weights (BF16, F16, F32): what 16 bits mean. */
  readonly storedDtype: string;
  /** Instead of the recipe's. */
  readonly kvType?: MemorySum["kvType"] | undefined;
  /** Default: packed. */
  readonly residency?: MemorySum["residency"] | undefined;
  /** Default: the model without the runtime's base. */
  readonly budgetCovers?: MemorySum["budgetCovers"] | undefined;
  readonly runtimeBaseBytes?: number | undefined;
}

/** Bytes that the least and the most generous plan of a recipe need. */
export interface FeasibleRange {
  readonly smallestBytes: number;
  readonly largestBytes: number;
}

/** Plans one model under any number of budgets; memory sums are kept from one to the next. */
export interface Planner {
  readonly units: readonly Unit[];
  /** Throws UserError `BUDGET_TOO_SMALL` where not even the narrowest plan fits. Needs no scores. */
  checkBudget(budgetBytes: number): void;
  /** The plan under a budget; null for no limit. Throws UserError `BUDGET_TOO_SMALL`, `SCORES_MISSING`, `SCORES_MISMATCH`. */
  plan(budgetBytes: number | null): Plan;
  /** The feasible budgets: everything from the smallest up fits, nothing beyond the largest is used. Throws as `plan`. */
  range(): FeasibleRange;
}

/**
 * Checks a request and prepares what its plans share. Throws UserError `CONTEXT_TOO_LONG`, `PLAN_CODECS` or
 * `RULE_MATCHES_NOTHING`.
 */
export function createPlanner(request: PlanRequest): Planner {
  const { spec, recipe, storedDtype } = request;
  checkContext(spec, request.contextTokens);
  const codecs = blockCodecs(recipe.plan, storedDtype);
  const units = unitsOf(spec, recipe.plan, storedDtype);
  const options = memoryOptions(request);
  const memoryAt = memoryReader(spec, options);
  const narrowest = assignBlocks(
    units,
    spec.blocks.map(() => codecs[codecs.length - 1]),
  );

  function problemAt(budgetBytes: number): AllocationProblem {
    const bytesOf = (assignment: Assignment) => memoryAt(assignment).totalBytes;
    return {
      units,
      blocks: spec.blocks.length,
      codecs,
      importance: importanceFor(request, codecs),
      budgetBytes,
      bytesOf,
    };
  }

  function tooSmall(budgetBytes: number): UserError {
    return budgetTooSmall(
      budgetBytes,
      memoryAt(narrowest),
      (contextTokens) => memorySum(spec, narrowest, { ...options, contextTokens }).totalBytes,
    );
  }

  function plan(budgetBytes: number | null): Plan {
    const problem = problemAt(budgetBytes ?? Number.POSITIVE_INFINITY);
    const assignment = ALLOCATORS[recipe.plan.allocator].allocate(problem);
    if (!assignment) throw tooSmall(problem.budgetBytes);
    return describePlan(request, units, assignment, memoryAt(assignment), budgetBytes);
  }

  return {
    units,
    checkBudget(budgetBytes) {
      if (memoryAt(narrowest).totalBytes > budgetBytes) throw tooSmall(budgetBytes);
    },
    plan,
    range: () => ({
      smallestBytes: memoryAt(narrowest).totalBytes,
      largestBytes: plan(null).memory.totalBytes,
    }),
  };
}

function describePlan(
  request: PlanRequest,
  units: readonly Unit[],
  assignment: Assignment,
  memory: MemorySum,
  budgetBytes: number | null,
): Plan {
  const { scores, recipe } = request;
  const ranked = ALLOCATORS[recipe.plan.allocator].needsScores;
  return {
    formatVersion: 1,
    allocator: recipe.plan.allocator,
    scorer: ranked && scores ? scores.scorer : null,
    budgetBytes,
    units: units.map((unit) => planUnit(unit, codecIn(assignment, unit.id))),
    memory,
    predictedLoss: scores?.losses ? predictedLoss(scores.losses, units, assignment) : null,
    importanceLowered: scores?.importance ? importanceLowered(scores.importance, units, assignment) : null,
  };
}

function planUnit(unit: Unit, codec: CodecId): PlanUnit {
  return { id: unit.id, codec, bytes: CODECS[codec].packedBytes(unit.rows, unit.cols), rule: unit.rule };
}

function memoryOptions(request: PlanRequest): MemoryOptions {
  return {
    contextTokens: request.contextTokens,
    kvType: request.kvType ?? request.recipe.plan.kvType,
    residency: request.residency ?? "packed",
    budgetCovers: request.budgetCovers ?? "model",
    runtimeBaseBytes: request.runtimeBaseBytes ?? 0,
  };
}

/** What the allocator ranks by; null where it ranks nothing. */
function importanceFor({ spec, scores, recipe }: PlanRequest, codecs: readonly CodecId[]): number[] | null {
  const { allocator } = recipe.plan;
  if (!ALLOCATORS[allocator].needsScores) return null;
  if (scores) return blockImportance(scores, spec, codecs[codecs.length - 1]);
  throw new UserError(
    "SCORES_MISSING",
    `allocator "${allocator}": expected scores, found none`,
    "score the checkpoint first, or choose the allocator uniform",
  );
}

function checkContext(spec: DecoderSpec, contextTokens: number): void {
  if (contextTokens <= spec.maxPositions) return;
  throw new UserError(
    "CONTEXT_TOO_LONG",
    `context: expected at most the model's ${spec.maxPositions} positions, found ${contextTokens}`,
    `ask for a context of ${spec.maxPositions} tokens or fewer`,
  );
}
