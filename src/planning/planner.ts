import type { MemorySum, Plan, PlanUnit } from "../artifact/plan.ts";
import { CODECS, type CodecId } from "../codecs/index.ts";
import { UserError } from "../errors.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import type { ExitShape } from "../model/exit-bytes.ts";
import type { MemoryOptions } from "../model/memory.ts";
import { memorySum } from "../model/memory.ts";
import type { Scores } from "../scoring/scores.ts";
import type { AllocationProblem } from "./allocators/allocator.ts";
import { assignBlocks } from "./allocators/assign-blocks.ts";
import { ALLOCATORS } from "./allocators/index.ts";
import { budgetTooSmall } from "./budget/infeasible.ts";
import { createMatrixProblem, type MatrixProblem, smallestAssignment } from "./optimal/matrix-problem.ts";
import type { MilpSolver } from "./optimal/milp.ts";
import { codecIn, importanceLowered, predictedLoss } from "./prediction.ts";
import { type KvChoice, kvChoices } from "./problem/kv-choices.ts";
import { lossReader } from "./problem/losses.ts";
import { memoryReader } from "./problem/memory-reader.ts";
import { blockImportance } from "./problem/ranking.ts";
import type { PlanSettings } from "./problem/settings.ts";
import { tieUnits } from "./problem/ties.ts";
import { type Assignment, blockCodecs, type Unit, unitsOf } from "./problem/units.ts";

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
  /** Types among which `optimal` chooses instead; default and empty: none. */
  readonly kvChoices?: readonly MemorySum["kvType"][] | undefined;
  /** Default: packed. */
  readonly residency?: MemorySum["residency"] | undefined;
  /** Default: the model without the runtime's base. */
  readonly budgetCovers?: MemorySum["budgetCovers"] | undefined;
  readonly runtimeBaseBytes?: number | undefined;
  /** Early exits that will be trained on the packed model; null or absent: none. */
  readonly exits?: ExitShape | null | undefined;
}

/** Bytes that the least and the most generous plan of a recipe need. */
export interface FeasibleRange {
  readonly smallestBytes: number;
  readonly largestBytes: number;
}

/** Plans one model under any number of budgets; memory sums, and what `optimal` prepares, are kept from one to the next. */
export interface Planner {
  readonly units: readonly Unit[];
  /** Throws UserError `BUDGET_TOO_SMALL` where not even the narrowest plan fits. Needs no scores. */
  checkBudget(budgetBytes: number): void;
  /** The plan under a budget; null for no limit. Throws UserError `BUDGET_TOO_SMALL`, `SCORES_MISSING`, `SCORES_MISMATCH`. */
  plan(budgetBytes: number | null): Plan;
  /** The feasible budgets: everything from the smallest up fits, nothing beyond the largest is used. Throws as `plan`. */
  range(): FeasibleRange;
  /** A given assignment as a plan without a budget; `allocator` says whose it is. */
  describe(assignment: Assignment, allocator: string): Plan;
}

/** A plan that fits, before it is described. */
interface Found {
  readonly assignment: Assignment;
  readonly kv: KvChoice;
  readonly loss: number | null;
}

/**
 * Checks a request and prepares what its plans share. `solver` (loadHighs) is needed by `optimal` as soon as a budget binds. Throws
 * UserError `CONTEXT_TOO_LONG`, `PLAN_CODECS`, `RULE_MATCHES_NOTHING` or `TIE_*`.
 */
export function createPlanner(request: PlanRequest, solver: MilpSolver = noSolver): Planner {
  const { spec, scores, recipe, storedDtype } = request;
  checkContext(spec, request.contextTokens);
  const allocator = ALLOCATORS[recipe.plan.allocator];
  const codecs = blockCodecs(recipe.plan, storedDtype);
  const units = unitsOf(spec, recipe.plan, storedDtype);
  const ties = tieUnits(units, allocator.grain === "matrix" ? recipe.plan.ties : []);
  const options = memoryOptions(request);
  const choices = kvChoices(allocator.grain === "matrix" ? (request.kvChoices ?? []) : [], options.kvType, scores);
  const readers = choices.map(({ type }) => memoryReader(spec, { ...options, kvType: type }));
  const narrowest =
    allocator.grain === "matrix"
      ? smallestAssignment(ties)
      : assignBlocks(
          units,
          spec.blocks.map(() => codecs[codecs.length - 1]),
        );
  const sums = choices.map((_, i) => readers[i](narrowest));
  const smallest = sums.reduce((least, sum) => (sum.totalBytes < least.totalBytes ? sum : least));
  let matrices: MatrixProblem | undefined;

  function matrixProblem(): MatrixProblem {
    const lossOf = requiredLosses(request, units);
    matrices ??= createMatrixProblem({
      spec,
      ties,
      exits: request.exits ?? null,
      lossOf,
      latency: recipe.plan.latency,
      solver,
    });
    return matrices;
  }

  function tooSmall(budgetBytes: number): UserError {
    const { kvType } = smallest;
    return budgetTooSmall(
      budgetBytes,
      smallest,
      (contextTokens) => memorySum(spec, narrowest, { ...options, kvType, contextTokens }).totalBytes,
    );
  }

  function search(budgetBytes: number): Found | null {
    const shared = {
      ...{ units, blocks: spec.blocks.length, codecs, budgetBytes },
      importance: importanceFor(request, codecs),
      matrices: allocator.grain === "matrix" ? matrixProblem() : null,
    };
    let best: Found | null = null;
    for (const [i, kv] of choices.entries()) {
      const problem: AllocationProblem = { ...shared, bytesOf: (assignment) => readers[i](assignment).totalBytes };
      const assignment = allocator.allocate(problem);
      if (!assignment) continue;
      const loss = scores?.losses ? predictedLoss(scores.losses, units, assignment) : null;
      const found = { assignment, kv, loss: loss === null ? null : loss + kv.loss };
      if (!best || (found.loss ?? 0) < (best.loss ?? 0)) best = found;
    }
    return best;
  }

  function plan(budgetBytes: number | null): Plan {
    const found = search(budgetBytes ?? Number.POSITIVE_INFINITY);
    if (found)
      return describePlan(request, units, found, readers[choices.indexOf(found.kv)](found.assignment), budgetBytes);
    const limit = budgetBytes ?? Number.POSITIVE_INFINITY;
    throw smallest.totalBytes <= limit ? tooSlow(recipe.plan) : tooSmall(limit);
  }

  return {
    units,
    checkBudget(budgetBytes) {
      if (smallest.totalBytes > budgetBytes) throw tooSmall(budgetBytes);
    },
    plan,
    range: () => ({
      smallestBytes: smallest.totalBytes,
      largestBytes: plan(null).memory.totalBytes,
    }),
    describe(assignment, name) {
      const loss = scores?.losses ? predictedLoss(scores.losses, units, assignment) : null;
      const found = { assignment, kv: choices[0], loss: loss === null ? null : loss + choices[0].loss };
      return { ...describePlan(request, units, found, readers[0](assignment), null), allocator: name };
    },
  };
}

function noSolver(): never {
  throw new Error("optimal needs a solver: createPlanner(request, await loadHighs())");
}

function describePlan(
  request: PlanRequest,
  units: readonly Unit[],
  { assignment, loss }: Found,
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
    predictedLoss: loss,
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
    exits: request.exits ?? null,
  };
}

/** What the allocator ranks blocks by; null where it ranks none. */
function importanceFor({ spec, scores, recipe }: PlanRequest, codecs: readonly CodecId[]): number[] | null {
  const { allocator } = recipe.plan;
  const { needsScores, grain } = ALLOCATORS[allocator];
  if (!needsScores || grain === "matrix") return null;
  if (scores) return blockImportance(scores, spec, codecs[codecs.length - 1]);
  throw scoresMissing(allocator);
}

/** The loss of every matrix at every codec. Throws UserError `SCORES_MISSING`; where one is asked for that scores lack, `SCORES_MISMATCH`. */
function requiredLosses({ scores, recipe }: PlanRequest, units: readonly Unit[]) {
  const { allocator } = recipe.plan;
  if (!scores) throw scoresMissing(allocator);
  const { losses, scorer } = scores;
  const mismatch = (what: string, hint: string) =>
    new UserError("SCORES_MISMATCH", `allocator "${allocator}": scores "${scorer}": ${what}`, hint);
  if (!losses) throw mismatch("expected losses, found a ranking of blocks", "score with kl or output-mse");
  const lossOf = lossReader(losses, units);
  return (unit: Unit, codec: CodecId): number => {
    const loss = unit.block === null && !losses[unit.id] && unit.candidates.length > 1 ? null : lossOf(unit, codec);
    if (loss !== null && Number.isFinite(loss)) return loss;
    const expected = `expected a loss of ${unit.id} at ${codec}, found none`;
    throw mismatch(expected, "score this checkpoint with this recipe anew, by kl with unit: matrix");
  };
}

function scoresMissing(allocator: string): UserError {
  return new UserError(
    "SCORES_MISSING",
    `allocator "${allocator}": expected scores, found none`,
    "score the checkpoint first, or choose the allocator uniform",
  );
}

function tooSlow({ latency }: PlanSettings): UserError {
  return new UserError(
    "LATENCY_TOO_SMALL",
    `plan.latency: expected a bound that some plan within the budget keeps, found ${latency?.msPerToken} ms a token`,
    "raise msPerToken or leave the bound out",
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
