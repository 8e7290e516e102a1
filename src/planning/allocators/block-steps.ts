import { assignBlocks } from "../problem/assign-blocks.ts";
import type { BlockProblem } from "../problem/block-problem.ts";
import type { Assignment } from "../problem/matrices.ts";

/**
 * The first assignment that fits: `steps` yields each block's index into `codecs`, from the widest plan to the
 * narrowest.
 */
export function firstThatFits(problem: BlockProblem, steps: Iterable<readonly number[]>): Assignment | null {
  for (const levels of steps) {
    const assignment = assignBlocks(
      problem.matrices,
      levels.map((level) => problem.codecs[level]),
    );
    if (problem.bytesOf(assignment) <= problem.budgetBytes) return assignment;
  }
  return null;
}

/** Block numbers by rising importance; of equal ones the first block first. Throws without importance. */
export function leastImportantFirst(problem: BlockProblem): number[] {
  const importance = importanceOf(problem);
  return Array.from({ length: problem.blocks }, (_, block) => block).sort((a, b) => importance[a] - importance[b]);
}

/** The problem's importance. Throws a plain Error where there is none: allocators that rank say `needsScores`. */
export function importanceOf(problem: BlockProblem): readonly number[] {
  if (problem.importance === null) throw new Error("this allocator needs scores");
  return problem.importance;
}
