import { type Allocator, firstThatFits } from "./allocator.ts";

/** One codec for all blocks: the widest that fits. Needs no scores. */
export const uniform: Allocator = {
  needsScores: false,
  grain: "block",
  allocate(problem) {
    const steps = problem.codecs.map((_, level) => Array.from({ length: problem.blocks }, () => level));
    return firstThatFits(problem, steps);
  },
};
