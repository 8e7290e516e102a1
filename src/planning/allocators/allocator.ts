import { BLOCK_GRAIN, type BlockProblem, openBlockProblem } from "../problem/block-problem.ts";
import type { Assignment, Grain } from "../problem/matrices.ts";
import { MATRIX_GRAIN, type MatrixProblem, openMatrixProblem } from "../problem/matrix-problem.ts";
import type { Allocation, Problem, ProblemRequest } from "../problem/problem.ts";

/** Scores + budget -> codec of every matrix. Pure, and monotone in the budget. */
export interface Allocator {
  readonly needsScores: boolean;
  /** Plans under a budget are found by a solver of mixed-integer programs. */
  readonly needsSolver: boolean;
  readonly grain: Grain;
  /** Prepares what its plans of one model share. Throws UserError `PLAN_CODECS`, `RULE_MATCHES_NOTHING` or `TIE_*`. */
  open(request: ProblemRequest): Problem;
}

/** An allocator that gives each block one codec; `allocate` gives null where nothing fits. */
export interface BlockAllocator extends Allocator {
  allocate(problem: BlockProblem): Assignment | null;
}

/**
 * An allocator that gives each block a form and each matrix (or tied group) one codec, embedding and head too; null
 * where nothing fits.
 */
export interface MatrixAllocator extends Allocator {
  allocate(problem: MatrixProblem): Allocation | null;
}

/** An allocator by block; with `needsScores` its problems have the blocks' importance. */
export function blockAllocator(own: Pick<BlockAllocator, "needsScores" | "allocate">): BlockAllocator {
  const { needsScores: ranks, allocate } = own;
  const open = (request: ProblemRequest) => openBlockProblem(request, { ranks, allocate });
  return { ...own, needsSolver: false, grain: BLOCK_GRAIN, open };
}

/** An allocator by matrix, which always needs scores: the losses of its problems. */
export function matrixAllocator(own: Pick<MatrixAllocator, "needsSolver" | "allocate">): MatrixAllocator {
  const open = (request: ProblemRequest) => openMatrixProblem(request, own.allocate);
  return { ...own, needsScores: true, grain: MATRIX_GRAIN, open };
}
