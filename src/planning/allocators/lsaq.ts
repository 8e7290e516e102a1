import { blockAllocator } from "./allocator.ts";
import { firstThatFits, leastImportantFirst } from "./block-steps.ts";

/**
 * LSAQ (arXiv 2412.18135): all blocks at the widest codec; while that does not fit, the least important blocks
 * go to the next one, and only when all are there does the first go to the one after.
 */
export const lsaq = blockAllocator({
  needsScores: true,
  allocate(problem) {
    return firstThatFits(problem, steps(leastImportantFirst(problem), problem.codecs.length));
  },
});

/** Each step lowers one block by one codec. */
function* steps(order: readonly number[], codecs: number): Generator<readonly number[]> {
  let levels = order.map(() => 0);
  yield levels;
  for (let level = 1; level < codecs; level++) {
    for (const block of order) {
      levels = levels.with(block, level);
      yield levels;
    }
  }
}
