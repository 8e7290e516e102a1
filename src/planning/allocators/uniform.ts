import { blockAllocator } from "./allocator.ts";
import { firstThatFits } from "./block-steps.ts";

/** One codec for all blocks: the widest that fits. Needs no scores. */
export const uniform = blockAllocator({
  needsScores: false,
  allocate(problem) {
    const steps = problem.codecs.map((_, level) => Array.from({ length: problem.blocks }, () => level));
    return firstThatFits(problem, steps);
  },
});
