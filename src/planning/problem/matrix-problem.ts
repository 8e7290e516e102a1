import type { CodecId } from "../../codecs/index.ts";
import { UserError } from "../../errors.ts";
import type { MilpSolver } from "../optimal/milp.ts";
import { type SegmentedCosts, segmentedCosts } from "../optimal/segments.ts";
import { formedUnits, smallestAllocation } from "./formed-units.ts";
import { lossReader } from "./losses.ts";
import { type Grain, type MatrixToPlan, matricesToPlan } from "./matrices.ts";
import {
  type Allocation,
  type ByteBound,
  type LossOf,
  type Problem,
  type ProblemRequest,
  scoresMissing,
} from "./problem.ts";
import { unitsOf } from "./units.ts";

/** What an allocator by matrix decides on: a codec for every unit, by what its codecs cost. */
export interface MatrixProblem extends SegmentedCosts, ByteBound {
  readonly solver: MilpSolver;
}

/**
 * One codec a matrix or tied group, of any number a width; embedding and output head choose too, where the recipe lists
 * codecs.
 */
export const MATRIX_GRAIN: Grain = {
  name: "matrix",
  blockCodecs: (named) => named,
  outerCodecs: (own, listed) => (listed.length > 0 ? listed : [own]),
};

/** The problem of an allocator by matrix, which always needs losses. */
export function openMatrixProblem(
  request: ProblemRequest,
  allocate: (problem: MatrixProblem) => Allocation | null,
): Problem {
  const { spec, settings, storedDtype, exits, forms, kvChoices, solver } = request;
  const matrices = matricesToPlan(MATRIX_GRAIN, { spec, settings, storedDtype });
  const units = formedUnits(unitsOf(matrices, settings.ties), spec, forms);
  /** By what forms save of keys and values: the same for every KV type where they leave attention as it is. */
  const known = new Map<string, SegmentedCosts>();
  return {
    matrices,
    kvChoices,
    narrowest: smallestAllocation(units),
    allocate(bound) {
      const { latency } = settings;
      const outsideBytes = forms.map((ofBlock) => {
        const kvBytes = ofBlock.map(({ block }) => bound.kvBytesOf(block));
        return kvBytes.map((bytes) => bytes - kvBytes[0]);
      });
      const key = JSON.stringify(outsideBytes);
      const costs =
        known.get(key) ??
        segmentedCosts({ spec, forms, units, outsideBytes, exits, lossOf: requiredLosses(request, matrices), latency });
      known.set(key, costs);
      return allocate({ ...costs, solver, ...bound });
    },
  };
}

/** Throws UserError `SCORES_MISSING`; where a loss is asked for that scores lack, `SCORES_MISMATCH`. */
function requiredLosses({ scores, allocator }: ProblemRequest, matrices: readonly MatrixToPlan[]): LossOf {
  if (!scores) throw scoresMissing(allocator);
  const { losses, scorer } = scores;
  const mismatch = (what: string, hint: string) =>
    new UserError("SCORES_MISMATCH", `allocator "${allocator}": scores "${scorer}": ${what}`, hint);
  if (!losses) throw mismatch("expected losses, found a ranking of blocks", "score with kl or output-mse");
  const lossOf = lossReader(losses, matrices);
  return (matrix: MatrixToPlan, codec: CodecId): number => {
    const isOpen = matrix.block === null && !losses[matrix.id] && matrix.candidates.length > 1;
    const loss = isOpen ? null : lossOf(matrix, codec);
    if (loss !== null && Number.isFinite(loss)) return loss;
    const expected = `expected a loss of ${matrix.id} at ${codec}, found none`;
    throw mismatch(expected, "score this checkpoint with this recipe anew, by kl with unit: matrix");
  };
}
