import { solveKnapsack } from "../optimal/knapsack.ts";
import { solveWithLatency } from "../optimal/latency.ts";
import { allocationOf, costOf, narrowestChoices, type SegmentChoice } from "../optimal/segments.ts";
import type { MatrixProblem } from "../problem/matrix-problem.ts";
import type { Allocation } from "../problem/problem.ts";
import { matrixAllocator } from "./allocator.ts";

/** Budgets tried: see `allocate`. */
const TRIES = 8;
/** What headers may differ by: no reason to search again. */
const PAGE = 4096;

/**
 * The least sum of losses under the budget, a codec a matrix (or tied group), embedding and output head among them: the
 * best ways to store each block (exact, with its padding; in any form that it may have), then one of them for every
 * block by a multiple-choice knapsack, proven by HiGHS. Optimal for the losses given; of equally good plans the first
 * found, the same on every machine.
 */
export const optimal = matrixAllocator({
  needsSolver: true,
  /**
   * What segments do not hold differs between plans: the files' headers by a page, the workspace with the largest
   * block. A plan that turns out over the budget is sought again with that much less, one that turns out to leave room
   * with that much more.
   */
  allocate(problem) {
    const { segments, budgetBytes } = problem;
    const outsideOf = (choices: readonly SegmentChoice[]) =>
      problem.bytesOf(allocationOf(segments, choices)) - costOf(segments, choices).bytes;
    const narrowest = narrowestChoices(segments);
    let outside = outsideOf(narrowest);
    let best: { readonly choices: readonly SegmentChoice[]; readonly loss: number } | null = null;
    for (let i = 0; i < TRIES; i++) {
      const choices = chooseWithin(problem, budgetBytes - outside);
      if (choices === null) break;
      const { bytes, loss } = costOf(segments, choices);
      const own = outsideOf(choices);
      const over = own + bytes - budgetBytes;
      if (over > 0) outside += over;
      else {
        if (!best || loss < best.loss) best = { choices, loss };
        if (outside - own <= PAGE) break;
        outside = own;
      }
    }
    return best ? allocationOf(segments, best.choices) : smallestIfItFits(problem);
  },
});

/** Null where nothing fits. */
function chooseWithin(problem: MatrixProblem, capacityBytes: number): readonly SegmentChoice[] | null {
  const { segments, msPerToken, solver } = problem;
  const fronts = problem.fronts();
  const points = solveKnapsack(fronts, capacityBytes, solver);
  if (points === null) return null;
  const choices = points.map((point, segment) => fronts[segment][point]);
  if (msPerToken === null || costOf(segments, choices).ms <= msPerToken) return choices;
  return solveWithLatency(segments, capacityBytes, msPerToken, solver);
}

/** The plan of the least bytes. */
function smallestIfItFits(problem: MatrixProblem): Allocation | null {
  const points = problem.fronts().map(([first]) => first);
  const smallest = allocationOf(problem.segments, points);
  const fits = problem.bytesOf(smallest) <= problem.budgetBytes;
  return fits && problem.msPerToken === null ? smallest : null;
}
