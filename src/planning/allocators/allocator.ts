import type { CodecId } from "../../codecs/index.ts";
import type { MatrixProblem } from "../optimal/matrix-problem.ts";
import type { Assignment, Unit } from "../problem/units.ts";
import { assignBlocks } from "./assign-blocks.ts";

/** What an allocator decides on. Everything is given; an allocator reads nothing and draws no random numbers. */
export interface AllocationProblem {
  readonly units: readonly Unit[];
  /** Number of blocks. */
  readonly blocks: number;
  /** The recipe's codecs for blocks, widest first. */
  readonly codecs: readonly CodecId[];
  /** One number a block, higher = keep more bits; null for allocators that rank nothing. */
  readonly importance: readonly number[] | null;
  /** Bytes that the whole run may use. */
  readonly budgetBytes: number;
  /** Bytes of the whole run under an assignment, exact. */
  bytesOf(assignment: Assignment): number;
  /** What allocators that decide by matrix need beside; null for the others. */
  readonly matrices?: MatrixProblem | null;
}

/** Scores + budget -> codec of every unit; null where nothing fits. Pure, and monotone in the budget. */
export interface Allocator {
  readonly needsScores: boolean;
  /** `block`: one codec a block, by its importance; `matrix`: one a matrix (or tied group), embedding and head too, by losses. */
  readonly grain: "block" | "matrix";
  allocate(problem: AllocationProblem): Assignment | null;
}

/** The first assignment that fits: `steps` yields each block's index into `codecs`, from the widest plan to the narrowest. */
export function firstThatFits(problem: AllocationProblem, steps: Iterable<readonly number[]>): Assignment | null {
  for (const levels of steps) {
    const assignment = assignBlocks(
      problem.units,
      levels.map((level) => problem.codecs[level]),
    );
    if (problem.bytesOf(assignment) <= problem.budgetBytes) return assignment;
  }
  return null;
}

/** Block numbers by rising importance; of equal ones the first block first. Throws without importance. */
export function leastImportantFirst(problem: AllocationProblem): number[] {
  const importance = importanceOf(problem);
  return Array.from({ length: problem.blocks }, (_, block) => block).sort((a, b) => importance[a] - importance[b]);
}

/** The problem's importance. Throws a plain Error where there is none: the planner checks `needsScores`. */
export function importanceOf(problem: AllocationProblem): readonly number[] {
  if (problem.importance === null) throw new Error("this allocator needs scores");
  return problem.importance;
}
