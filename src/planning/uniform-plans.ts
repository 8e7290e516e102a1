import type { Plan } from "../artifact/plan.ts";
import { CODECS, type CodecId } from "../codecs/index.ts";
import { assignBlocks } from "./allocators/assign-blocks.ts";
import type { Planner } from "./planner.ts";
import type { Assignment, Unit } from "./problem/units.ts";

/** Every matrix at one codec: what an allocator is measured against. */
export interface UniformPlan {
  readonly codec: CodecId;
  readonly plan: Plan;
}

/**
 * The uniform plan of each codec of the recipe, widest first: every matrix of the blocks at the codec (rules stand), and embedding
 * and output head too where they may have it, else at the nearest width that they may have.
 */
export function uniformPlans(planner: Planner): UniformPlan[] {
  const { units } = planner;
  const codecs = [
    ...new Set(units.flatMap(({ block, rule, candidates }) => (block === null || rule ? [] : candidates))),
  ];
  return codecs.map((codec) => ({ codec, plan: planner.describe(uniformAssignment(units, codec), "uniform") }));
}

function uniformAssignment(units: readonly Unit[], codec: CodecId): Assignment {
  const blocks = Math.max(0, ...units.map(({ block }) => (block ?? -1) + 1));
  const assigned = assignBlocks(
    units,
    Array.from({ length: blocks }, () => codec),
  );
  const gap = (id: CodecId) => Math.abs(CODECS[id].bits - CODECS[codec].bits);
  const nearest = ({ candidates }: Unit) =>
    candidates.includes(codec) ? codec : candidates.reduce((best, id) => (gap(id) < gap(best) ? id : best));
  const outer = units.filter(({ block }) => block === null).map((unit): [string, CodecId] => [unit.id, nearest(unit)]);
  return new Map([...assigned, ...outer]);
}
