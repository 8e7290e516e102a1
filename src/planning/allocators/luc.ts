import { blockAllocator } from "./allocator.ts";
import { firstThatFits, importanceOf, leastImportantFirst } from "./block-steps.ts";

/**
 * LUC bits (EDGE-LLM, arXiv 2406.15758): blocks of above-mean sensitivity get the higher of the two narrowest
 * codecs, the others the narrowest; to meet the budget the least sensitive of the former are lowered too.
 * The budget is a ceiling only: the rule never goes above its own choice.
 */
export const luc = blockAllocator({
  needsScores: true,
  allocate(problem) {
    const base = problem.codecs.length - 1;
    const start = aboveMean(importanceOf(problem)).map((high) => (high ? Math.max(0, base - 1) : base));
    return firstThatFits(problem, steps(start, leastImportantFirst(problem), base));
  },
});

/** Which numbers are above the mean of all. */
export function aboveMean(values: readonly number[]): boolean[] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.map((value) => value > mean);
}

function* steps(start: readonly number[], order: readonly number[], base: number): Generator<readonly number[]> {
  let levels = [...start];
  yield levels;
  for (const block of order.filter((b) => start[b] !== base)) {
    levels = levels.with(block, base);
    yield levels;
  }
}
