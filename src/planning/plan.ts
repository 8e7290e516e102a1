import type { Plan } from "../artifact/plan.ts";
import { UserError } from "../errors.ts";
import { linearsOf } from "../model/decoder-spec.ts";
import type { MilpSolver } from "./optimal/milp.ts";
import { createPlanner, type FeasibleRange, type Planner, type PlanRequest } from "./planner.ts";
import type { BlockForm, BlockForms } from "./problem/block-forms.ts";

/** Of errors those that say that nothing fits. */
const TOO_SMALL = ["BUDGET_TOO_SMALL", "LATENCY_TOO_SMALL"];

/** All that one plan depends on. */
type OnePlan = PlanRequest & { readonly budgetBytes: number | null };

/**
 * The plan of one budget (null: no limit): every matrix's codec, the itemised memory sum, the predicted loss. Where
 * blocks may have other forms it also says what the best plan without any, or with some, would lose. Pure: reads
 * nothing, needs no weights; `solver` as in createPlanner. Throws UserError `BUDGET_TOO_SMALL` with the nearest
 * feasible requests, and whatever {@link createPlanner} throws. `planner`: the request's, where there is one already.
 */
export function makePlan(
  request: OnePlan,
  solver?: MilpSolver | undefined,
  planner: Planner = createPlanner(request, solver),
): Plan {
  const plan = planner.plan(request.budgetBytes);
  if (!plan.pruning || !request.forms) return plan;
  const lossWith = (forms: BlockForms | undefined) => lossOf({ ...request, forms }, solver);
  const { cuts } = plan.pruning;
  const isWhole = cuts.every((cut) => cut === null);
  const wholeLoss = isWhole ? plan.predictedLoss : lossWith(undefined);
  if (!isWhole) return { ...plan, pruning: { cuts, wholeLoss } };
  const cut = withCheapestCut(request.forms);
  return { ...plan, pruning: { cuts, wholeLoss, cutLoss: cut && lossWith(cut) } };
}

/** Smallest and largest bytes that plans of this request take. */
export function feasibleRange(request: PlanRequest): FeasibleRange {
  return createPlanner(request).range();
}

/** Predicted loss of the best plan; null where none fits. */
function lossOf(request: OnePlan, solver: MilpSolver | undefined): number | null {
  try {
    return createPlanner(request, solver).plan(request.budgetBytes).predictedLoss;
  } catch (error) {
    if (error instanceof UserError && TOO_SMALL.includes(error.code)) return null;
    throw error;
  }
}

/** The forms less the whole one where a cut loses least for the weights that it takes; null where there is no cut. */
function withCheapestCut(forms: BlockForms): BlockForms | null {
  let cheapest = { block: -1, form: 0, price: Number.POSITIVE_INFINITY };
  for (const [block, ofBlock] of forms.entries()) {
    const whole = weightsOf(ofBlock[0]);
    for (const [form, one] of ofBlock.entries()) {
      const price = one.cut ? one.cut.loss / (whole - weightsOf(one)) : Number.POSITIVE_INFINITY;
      if (price < cheapest.price) cheapest = { block, form, price };
    }
  }
  const { block, form } = cheapest;
  return block < 0 ? null : forms.map((ofBlock, i) => (i === block ? [ofBlock[form]] : ofBlock));
}

function weightsOf({ block }: BlockForm): number {
  return linearsOf(block).reduce((sum, { linear: { rows, cols } }) => sum + rows * cols, 0);
}
