import type { Plan } from "../artifact/plan.ts";
import { CODECS, codecIdOf } from "../codecs/index.ts";
import { blockName } from "../model/matrix-id.ts";
import type { Losses } from "../scoring/scores.ts";
import { lossReader } from "./problem/losses.ts";
import type { Assignment, MatrixToPlan } from "./problem/matrices.ts";

/**
 * Loss that the scores predict: the sum over matrices (embedding and head too, where they were measured) of the loss at
 * the assigned codec. Where blocks were measured as wholes, a matrix counts by its share of its block's weights. Null
 * where a codec was not measured; a float codec without a measurement counts as no loss. `left`: those of the matrices
 * that the plan has, with their sizes there.
 */
export function predictedLoss(
  losses: Losses,
  matrices: readonly MatrixToPlan[],
  assignment: Assignment,
  left: readonly MatrixToPlan[] = matrices,
): number | null {
  const lossOf = lossReader(losses, matrices);
  let sum = 0;
  for (const matrix of left) {
    const loss = lossOf(matrix, codecIn(assignment, matrix.id));
    if (loss === null) return null;
    sum += loss;
  }
  return sum;
}

/** Sum over blocks of importance x bits lowered below 16; bits are the mean over the block's weights. */
export function importanceLowered(
  importance: readonly number[],
  matrices: readonly MatrixToPlan[],
  assignment: Assignment,
): number {
  let sum = 0;
  for (const group of blocksOf(matrices).values()) {
    const { block } = group[0];
    if (block !== null) sum += importance[block] * (16 - bitsPerWeight(group, assignment));
  }
  return sum;
}

/** Mean bits of a weight's level over the matrices; scales are not counted. */
export function bitsPerWeight(matrices: readonly MatrixToPlan[], assignment: Assignment): number {
  const bits = matrices.reduce((sum, matrix) => sum + matrix.weights * CODECS[codecIn(assignment, matrix.id)].bits, 0);
  return bits / weightsOf(matrices);
}

/** The matrices that scores name together: `blocks.<i>`, `embedding`, `head`. */
function blocksOf(matrices: readonly MatrixToPlan[]): Map<string, MatrixToPlan[]> {
  const groups = new Map<string, MatrixToPlan[]>();
  for (const matrix of matrices) {
    const name = matrix.block === null ? matrix.id : blockName(matrix.block);
    const group = groups.get(name);
    if (group) group.push(matrix);
    else groups.set(name, [matrix]);
  }
  return groups;
}

function weightsOf(matrices: readonly MatrixToPlan[]): number {
  return matrices.reduce((sum, matrix) => sum + matrix.weights, 0);
}

/** The assigned codec. Throws a plain Error for a matrix that has none. */
export function codecIn(assignment: Assignment, id: string) {
  const codec = assignment.get(id);
  if (codec === undefined) throw new Error(`no codec assigned to ${id}`);
  return codec;
}

/** The codecs of a plan by matrix. Throws UserError `CODEC_UNKNOWN` for a plan with another version's codecs. */
export function assignmentOf(plan: Plan): Assignment {
  return new Map(plan.units.map(({ id, codec }) => [id, codecIdOf(codec)]));
}
