import { CODECS, type CodecId } from "../../codecs/index.ts";
import { UserError } from "../../errors.ts";
import { assignBlocks } from "./assign-blocks.ts";
import { type Assignment, blockCodecs, type Grain, type MatrixToPlan, matricesToPlan } from "./matrices.ts";
import { type Allocation, type Problem, type ProblemRequest, scoresMissing } from "./problem.ts";
import { blockImportance } from "./ranking.ts";

/** What an allocator by block decides on. Everything is given; it reads nothing and draws no random numbers. */
export interface BlockProblem {
  /** Bytes that the whole run may use. */
  readonly budgetBytes: number;
  /** Bytes of the whole run under an assignment, exact. */
  bytesOf(assignment: Assignment): number;
  readonly matrices: readonly MatrixToPlan[];
  /** Number of blocks. */
  readonly blocks: number;
  /** The recipe's codecs for blocks, widest first. */
  readonly codecs: readonly CodecId[];
  /** One number a block, higher = keep more bits; null for allocators that rank nothing. */
  readonly importance: readonly number[] | null;
}

/**
 * One codec a block, of a width that no other codec of the recipe has; embedding and output head have the recipe's one.
 */
export const BLOCK_GRAIN: Grain = {
  name: "block",
  blockCodecs(named) {
    const twin = named.find((id, i) => i > 0 && CODECS[id].bits === CODECS[named[i - 1]].bits);
    if (twin === undefined) return named;
    throw new UserError(
      "PLAN_CODECS",
      `plan.codecs: expected one codec a width, found ${named.join(", ")}`,
      "leave one of the codecs with the same bits out",
    );
  },
  outerCodecs: (own) => [own],
};

/** The problem of an allocator by block; `ranks`: it needs the blocks' importance. */
export function openBlockProblem(
  request: ProblemRequest,
  { ranks, allocate }: { readonly ranks: boolean; allocate(problem: BlockProblem): Assignment | null },
): Problem {
  const { spec, settings, storedDtype } = request;
  const codecs = blockCodecs(BLOCK_GRAIN, settings, storedDtype);
  const matrices = matricesToPlan(BLOCK_GRAIN, { spec, settings, storedDtype });
  const blocks = spec.blocks.length;
  const narrowest = codecs[codecs.length - 1];
  const whole = (assignment: Assignment): Allocation => ({ forms: spec.blocks.map(() => 0), assignment });
  return {
    matrices,
    kvChoices: [],
    narrowest: whole(
      assignBlocks(
        matrices,
        spec.blocks.map(() => narrowest),
      ),
    ),
    allocate({ budgetBytes, bytesOf }) {
      const importance = ranks ? importanceFor(request, narrowest) : null;
      const bound = { budgetBytes, bytesOf: (assignment: Assignment) => bytesOf(whole(assignment)) };
      const found = allocate({ matrices, blocks, codecs, importance, ...bound });
      return found && whole(found);
    },
  };
}

function importanceFor({ spec, scores, allocator }: ProblemRequest, narrowest: CodecId): number[] {
  if (scores) return blockImportance(scores, spec, narrowest);
  throw scoresMissing(allocator);
}
