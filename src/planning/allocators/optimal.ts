import { solveKnapsack } from "../optimal/knapsack.ts";
import { solveWithLatency } from "../optimal/latency.ts";
import { assignOptions, msOfOptions } from "../optimal/segments.ts";
import type { Assignment } from "../problem/matrices.ts";
import type { MatrixProblem } from "../problem/matrix-problem.ts";
import { matrixAllocator } from "./allocator.ts";

/** Budgets tried, each lower by what the last was over: the files' headers may differ by a page between plans. */
const HEADER_TRIES = 8;

/**
 * The least sum of losses under the budget, a codec a matrix (or tied group), embedding and output head among them: the
 * best ways to store each block (exact, with its padding), then one of them for every block by a multiple-choice
 * knapsack, proven by HiGHS. Optimal for the losses given; of equally good plans the first found, the same on every
 * machine.
 */
export const optimal = matrixAllocator({
  needsSolver: true,
  allocate(problem) {
    const fronts = problem.fronts();
    const narrowest = assignPoints(
      problem,
      fronts.map(() => 0),
    );
    const headerBytes = problem.bytesOf(narrowest) - fronts.reduce((sum, [first]) => sum + first.bytes, 0);
    let capacityBytes = problem.budgetBytes - headerBytes;
    for (let i = 0; i < HEADER_TRIES; i++) {
      const assignment = allocateWithin(problem, capacityBytes);
      if (assignment === null) break;
      const over = problem.bytesOf(assignment) - problem.budgetBytes;
      if (over <= 0) return assignment;
      capacityBytes -= over;
    }
    return narrowestIfItFits(problem, narrowest);
  },
});

/** Null where nothing fits. */
function allocateWithin(problem: MatrixProblem, capacityBytes: number): Assignment | null {
  const { segments, msPerToken, solver } = problem;
  const fronts = problem.fronts();
  const points = solveKnapsack(fronts, capacityBytes, solver);
  if (points === null) return null;
  const options = points.map((point, segment) => fronts[segment][point].picks);
  if (msPerToken === null || msOfOptions(segments, options) <= msPerToken) return assignOptions(segments, options);
  const quicker = solveWithLatency(segments, capacityBytes, msPerToken, solver);
  return quicker && assignOptions(segments, quicker);
}

function assignPoints(problem: MatrixProblem, points: readonly number[]): Assignment {
  const fronts = problem.fronts();
  return assignOptions(
    problem.segments,
    points.map((point, segment) => fronts[segment][point].picks),
  );
}

function narrowestIfItFits(problem: MatrixProblem, narrowest: Assignment) {
  const fits = problem.bytesOf(narrowest) <= problem.budgetBytes;
  return fits && problem.msPerToken === null ? narrowest : null;
}
