import type { CodecId } from "../../codecs/index.ts";
import { UserError } from "../../errors.ts";
import type { BlockSpec, DecoderSpec } from "../../model/decoder-spec.ts";
import type { ExitShape } from "../../model/exit-bytes.ts";
import type { KvType } from "../../model/kv-type.ts";
import type { Scores } from "../../scoring/scores.ts";
import type { MilpSolver } from "../optimal/milp.ts";
import type { BlockForms, FormPicks } from "./block-forms.ts";
import type { Assignment, MatrixToPlan } from "./matrices.ts";
import type { ProblemSettings } from "./settings.ts";

/** What a problem is made of: all that its plans depend on but budget and KV type. */
export interface ProblemRequest {
  readonly spec: DecoderSpec;
  readonly scores: Scores | null;
  readonly settings: ProblemSettings;
  readonly storedDtype: string;
  /** Exits whose heads are a part of what is planned; null: none. */
  readonly exits: ExitShape | null;
  /** What blocks may be; one form each but for allocators by matrix. */
  readonly forms: BlockForms;
  /** KV types that may be chosen from. */
  readonly kvChoices: readonly KvType[];
  readonly solver: MilpSolver;
  /** The allocator's name, for messages. */
  readonly allocator: string;
}

/** What an allocator chooses: a form of each block, and a codec of every matrix that these have. */
export interface Allocation {
  readonly forms: FormPicks;
  readonly assignment: Assignment;
}

/** A bound on bytes, and how they are counted. */
export interface ByteBound {
  /** Bytes that the whole run may use. */
  readonly budgetBytes: number;
  /** Bytes of the whole run under an allocation, exact. */
  bytesOf(allocation: Allocation): number;
  /** Bytes of a block's keys and values: what of a block's form is not in files. */
  kvBytesOf(block: BlockSpec): number;
}

/** One model to plan under any number of budgets, by one allocator. */
export interface Problem {
  readonly matrices: readonly MatrixToPlan[];
  /** KV types that its plans choose from; empty: they take the one that is given. */
  readonly kvChoices: readonly KvType[];
  /** The plan that takes the least bytes. */
  readonly narrowest: Allocation;
  /** The allocator's plan; null where nothing fits. Throws UserError `SCORES_MISSING`, `SCORES_MISMATCH`. */
  allocate(bound: ByteBound): Allocation | null;
}

/** A loss of every matrix at every codec. */
export type LossOf = (matrix: MatrixToPlan, codec: CodecId) => number;

/** UserError `SCORES_MISSING`: an allocator that ranks was given nothing to rank by. */
export function scoresMissing(allocator: string): UserError {
  return new UserError(
    "SCORES_MISSING",
    `allocator "${allocator}": expected scores, found none`,
    "score the checkpoint first, or choose the allocator uniform",
  );
}
