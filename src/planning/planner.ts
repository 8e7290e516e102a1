import type { MemorySum, Plan } from "../artifact/plan.ts";
import { CODECS } from "../codecs/index.ts";
import { UserError } from "../errors.ts";
import type { AdapterShape } from "../model/adapter-bytes.ts";
import { checkContextLength } from "../model/context-length.ts";
import type { BlockSpec, DecoderSpec } from "../model/decoder-spec.ts";
import type { ExitShape } from "../model/exit-bytes.ts";
import { kvBytesOf, type MemoryOptions, memorySum } from "../model/memory.ts";
import type { Scores } from "../scoring/scores.ts";
import { allocatorOf } from "./allocators/index.ts";
import { budgetTooSmall, opensTooLarge } from "./budget/infeasible.ts";
import type { MilpSolver } from "./optimal/milp.ts";
import type { PlanSettings } from "./plan-settings.ts";
import { codecIn, importanceLowered, predictedLoss } from "./prediction.ts";
import { type BlockForms, cutsOf, formedMatrices, formedSpec, wholeForms } from "./problem/block-forms.ts";
import { type KvChoice, kvChoices } from "./problem/kv-choices.ts";
import type { Assignment, MatrixToPlan } from "./problem/matrices.ts";
import { memoryReader } from "./problem/memory-reader.ts";
import type { Allocation } from "./problem/problem.ts";

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
  /** Types among which an allocator by matrix chooses instead; default and empty: none. */
  readonly kvChoices?: readonly MemorySum["kvType"][] | undefined;
  /** Default: packed. */
  readonly residency?: MemorySum["residency"] | undefined;
  /** Default: the model without the runtime's base. */
  readonly budgetCovers?: MemorySum["budgetCovers"] | undefined;
  readonly runtimeBaseBytes?: number | undefined;
  /** What the process takes while it opens, before the model is there: a budget of the process is no smaller. */
  readonly openingBytes?: number | undefined;
  /** What blocks may be, for an allocator by matrix; absent: each as it is. */
  readonly forms?: BlockForms | undefined;
  /** Additions to matrices that will be learned on the packed model; null or absent: none. */
  readonly adapter?: AdapterShape | null | undefined;
  /** Early exits that will be trained on the packed model; null or absent: none. */
  readonly exits?: ExitShape | null | undefined;
}

/** Bytes that the least and the most generous plan of a recipe need. */
export interface FeasibleRange {
  readonly smallestBytes: number;
  readonly largestBytes: number;
}

/**
 * Plans one model under any number of budgets; memory sums, and what an allocator prepares, are kept from one to the
 * next.
 */
export interface Planner {
  readonly matrices: readonly MatrixToPlan[];
  /** Throws UserError `BUDGET_TOO_SMALL` where not even the narrowest plan fits. Needs no scores. */
  checkBudget(budgetBytes: number): void;
  /**
   * The plan under a budget; null for no limit. Throws UserError `BUDGET_TOO_SMALL`, `SCORES_MISSING`,
   * `SCORES_MISMATCH`.
   */
  plan(budgetBytes: number | null): Plan;
  /**
   * The feasible budgets: everything from the smallest up fits, nothing beyond the largest is used. Throws as `plan`.
   */
  range(): FeasibleRange;
  /** A given assignment as a plan without a budget; `allocator` says whose it is. */
  describe(assignment: Assignment, allocator: string): Plan;
}

/** A plan that fits, before it is described. */
interface Found extends Allocation {
  /** The matrices that it has, with their sizes. */
  readonly matrices: readonly MatrixToPlan[];
  readonly memory: MemorySum;
  readonly loss: number | null;
}

/**
 * Checks a request and prepares what its plans share. `solver` (loadHighs) is needed, where the allocator needs one, as
 * soon as a budget binds. Throws UserError `CONTEXT_TOO_LONG`, `PLAN_CODECS`, `RULE_MATCHES_NOTHING` or `TIE_*`.
 */
export function createPlanner(request: PlanRequest, solver: MilpSolver = noSolver): Planner {
  const { spec, scores, recipe, storedDtype } = request;
  checkContextLength(spec, request.contextTokens);
  const forms = request.forms ?? wholeForms(spec);
  const problem = allocatorOf(recipe.plan).open({
    ...{ spec, forms, scores, storedDtype, solver, settings: recipe.plan, allocator: recipe.plan.allocator },
    exits: request.exits ?? null,
    kvChoices: request.kvChoices ?? [],
  });
  const { matrices, narrowest } = problem;
  const options = memoryOptions(request);
  const choices = kvChoices(problem.kvChoices, options.kvType, scores);
  const readers = new Map(choices.map((kv) => [kv, memoryReader(spec, forms, { ...options, kvType: kv.type })]));
  const sums = [...readers.values()].map((sumOf) => sumOf(narrowest));
  const least = formedSpec(spec, forms, narrowest.forms);
  const smallest = sums.reduce((least, sum) => (sum.totalBytes < least.totalBytes ? sum : least));
  const opening = options.budgetCovers === "process" ? (request.openingBytes ?? 0) : 0;

  function tooSmall(budgetBytes: number): UserError {
    const { kvType } = smallest;
    return budgetTooSmall(
      budgetBytes,
      smallest,
      (contextTokens) => memorySum(least, narrowest.assignment, { ...options, kvType, contextTokens }).totalBytes,
    );
  }

  function foundOf({ forms: picks, assignment }: Allocation, kv: KvChoice, memory: MemorySum): Found {
    const left = formedMatrices(matrices, formedSpec(spec, forms, picks));
    const loss = scores?.losses ? predictedLoss(scores.losses, matrices, assignment, left) : null;
    const cuts = cutsOf(forms, picks).reduce((sum, cut) => sum + (cut?.loss ?? 0), kv.loss);
    return { forms: picks, assignment, matrices: left, memory, loss: loss === null ? null : loss + cuts };
  }

  function search(budgetBytes: number): Found | null {
    let best: Found | null = null;
    for (const [kv, sumOf] of readers) {
      const allocation = problem.allocate({
        budgetBytes,
        bytesOf: (one: Allocation) => sumOf(one).totalBytes,
        kvBytesOf: (block: BlockSpec) => kvBytesOf(block, { ...options, kvType: kv.type }),
      });
      if (!allocation) continue;
      const found = foundOf(allocation, kv, sumOf(allocation));
      if (!best || (found.loss ?? 0) < (best.loss ?? 0)) best = found;
    }
    return best;
  }

  function plan(budgetBytes: number | null): Plan {
    const limit = budgetBytes ?? Number.POSITIVE_INFINITY;
    if (opening > limit) throw opensTooLarge(limit, opening);
    const found = search(limit);
    if (found) return describePlan(request, found, budgetBytes);
    throw smallest.totalBytes <= limit ? tooSlow(recipe.plan) : tooSmall(limit);
  }

  return {
    matrices,
    checkBudget(budgetBytes) {
      if (smallest.totalBytes > budgetBytes) throw tooSmall(budgetBytes);
      if (opening > budgetBytes) throw opensTooLarge(budgetBytes, opening);
    },
    plan,
    range: () => ({
      smallestBytes: Math.max(smallest.totalBytes, opening),
      largestBytes: Math.max(plan(null).memory.totalBytes, opening),
    }),
    describe(assignment, name) {
      const [[kv, sumOf]] = readers;
      const allocation = { forms: spec.blocks.map(() => 0), assignment };
      const found = foundOf(allocation, kv, sumOf(allocation));
      return { ...describePlan(request, found, null), allocator: name };
    },
  };
}

function noSolver(): never {
  throw new Error("this allocator needs a solver: createPlanner(request, await loadHighs())");
}

function describePlan(
  { scores, recipe, forms }: PlanRequest,
  { forms: picks, assignment, matrices, memory, loss }: Found,
  budgetBytes: number | null,
): Plan {
  const ranked = allocatorOf(recipe.plan).needsScores;
  return {
    formatVersion: 1,
    allocator: recipe.plan.allocator,
    scorer: ranked && scores ? scores.scorer : null,
    budgetBytes,
    units: matrices.map(({ id, rows, cols, rule }) => {
      const codec = codecIn(assignment, id);
      return { id, codec, bytes: CODECS[codec].packedBytes(rows, cols), rule };
    }),
    memory,
    predictedLoss: loss,
    importanceLowered: scores?.importance ? importanceLowered(scores.importance, matrices, assignment) : null,
    ...(forms && { pruning: { cuts: cutsOf(forms, picks) } }),
  };
}

function memoryOptions(request: PlanRequest): MemoryOptions {
  return {
    contextTokens: request.contextTokens,
    kvType: request.kvType ?? request.recipe.plan.kvType,
    residency: request.residency ?? "packed",
    budgetCovers: request.budgetCovers ?? "model",
    runtimeBaseBytes: request.runtimeBaseBytes ?? 0,
    exits: request.exits ?? null,
    adapter: request.adapter ?? undefined,
  };
}

function tooSlow({ latency }: PlanSettings): UserError {
  return new UserError(
    "LATENCY_TOO_SMALL",
    `plan.latency: expected a bound that some plan within the budget keeps, found ${latency?.msPerToken} ms a token`,
    "raise msPerToken or leave the bound out",
  );
}
