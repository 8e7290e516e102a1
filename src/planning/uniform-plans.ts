import type { Plan } from "../artifact/plan.ts";
import type { CodecId } from "../codecs/index.ts";
import { UNRANKED } from "./allocators/index.ts";
import type { Planner } from "./planner.ts";
import { nearestCandidate } from "./problem/assign-blocks.ts";
import type { Assignment, MatrixToPlan } from "./problem/matrices.ts";

/** Every matrix at one codec: what an allocator is measured against. */
export interface UniformPlan {
  readonly codec: CodecId;
  readonly plan: Plan;
}

/**
 * The uniform plan of each codec of the recipe, widest first: every matrix of the blocks at the codec (rules stand),
 * and embedding and output head too where they may have it, else at the nearest width that they may have.
 */
export function uniformPlans(planner: Planner): UniformPlan[] {
  const { matrices } = planner;
  const codecs = [
    ...new Set(matrices.flatMap(({ block, rule, candidates }) => (block === null || rule ? [] : candidates))),
  ];
  return codecs.map((codec) => ({ codec, plan: planner.describe(uniformAssignment(matrices, codec), UNRANKED) }));
}

function uniformAssignment(matrices: readonly MatrixToPlan[], codec: CodecId): Assignment {
  return new Map(matrices.map((matrix) => [matrix.id, nearestCandidate(matrix, codec)]));
}
