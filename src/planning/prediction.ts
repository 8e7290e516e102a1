import type { Plan } from "../artifact/plan.ts";
import { CODECS, codecIdOf } from "../codecs/index.ts";
import { blockName } from "../model/matrix-id.ts";
import type { Scores } from "../scoring/scores.ts";
import { lossReader } from "./problem/losses.ts";
import type { Assignment, Unit } from "./problem/units.ts";

type Losses = NonNullable<Scores["losses"]>;

/**
 * Loss that the scores predict: the sum over matrices (embedding and head too, where they were measured) of the loss at
 * the assigned codec. Where blocks were measured as wholes, a matrix counts by its share of its block's weights. Null where
 * a codec was not measured; a float codec without a measurement counts as no loss.
 */
export function predictedLoss(losses: Losses, units: readonly Unit[], assignment: Assignment): number | null {
  const lossOf = lossReader(losses, units);
  let sum = 0;
  for (const unit of units) {
    const loss = lossOf(unit, codecIn(assignment, unit.id));
    if (loss === null) return null;
    sum += loss;
  }
  return sum;
}

/** Sum over blocks of importance x bits lowered below 16; bits are the mean over the block's weights. */
export function importanceLowered(
  importance: readonly number[],
  units: readonly Unit[],
  assignment: Assignment,
): number {
  let sum = 0;
  for (const group of blocksOf(units).values()) {
    const { block } = group[0];
    if (block !== null) sum += importance[block] * (16 - bitsPerWeight(group, assignment));
  }
  return sum;
}

/** Mean bits of a weight's level over the units; scales are not counted. */
export function bitsPerWeight(units: readonly Unit[], assignment: Assignment): number {
  const bits = units.reduce((sum, unit) => sum + unit.weights * CODECS[codecIn(assignment, unit.id)].bits, 0);
  return bits / weightsOf(units);
}

/** The units that scores name together: `blocks.<i>`, `embedding`, `head`. */
function blocksOf(units: readonly Unit[]): Map<string, Unit[]> {
  const groups = new Map<string, Unit[]>();
  for (const unit of units) {
    const name = unit.block === null ? unit.id : blockName(unit.block);
    const group = groups.get(name);
    if (group) group.push(unit);
    else groups.set(name, [unit]);
  }
  return groups;
}

function weightsOf(units: readonly Unit[]): number {
  return units.reduce((sum, unit) => sum + unit.weights, 0);
}

/** The assigned codec. Throws a plain Error for a matrix that has none. */
export function codecIn(assignment: Assignment, id: string) {
  const codec = assignment.get(id);
  if (codec === undefined) throw new Error(`no codec assigned to ${id}`);
  return codec;
}

/** The codecs of a plan by matrix. Throws UserError `CODEC_UNKNOWN` for a plan with another version's codecs. */
export function assignmentOf(plan: Plan): Assignment {
  return new Map(plan.units.map((unit) => [unit.id, codecIdOf(unit.codec)]));
}
