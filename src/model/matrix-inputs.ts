import { type BlockSpec, linearsOf } from "./decoder-spec.ts";
import type { BlockRole } from "./matrix-id.ts";

/** What a block multiplies matrices with: after the attention's norm, mixed values, after the MLP's norm, activated. */
const MATRIX_INPUT_KINDS = ["attention", "output", "mlp", "down"] as const;
export type MatrixInputKind = (typeof MATRIX_INPUT_KINDS)[number];

/** One distinct input of a block, [rows, cols], and the matrices that take it. */
export interface MatrixInputSpec {
  readonly kind: MatrixInputKind;
  readonly cols: number;
  /** In execution order, at least one. */
  readonly roles: readonly BlockRole[];
}

/** Parts of one block that do not run. */
export interface SkippedParts {
  readonly attention: boolean;
  readonly mlp: boolean;
}

const KIND_OF: Readonly<Record<BlockRole, MatrixInputKind>> = {
  "attn.q": "attention",
  "attn.k": "attention",
  "attn.v": "attention",
  "attn.o": "output",
  "mlp.gate": "mlp",
  "mlp.up": "mlp",
  "mlp.down": "down",
};

/** Whether a matrix reads the residual stream; the others write to it. */
export function readsStream(role: BlockRole): boolean {
  return KIND_OF[role] === "attention" || KIND_OF[role] === "mlp";
}

/**
 * The distinct inputs of a block's matrices, in execution order. Where a parallel block has one norm for both parts
 * (Phi), gate and up take the attention's input.
 */
export function matrixInputsOf(block: BlockSpec, skipped?: SkippedParts): MatrixInputSpec[] {
  const attention = skipped?.attention ? null : block.attention;
  const mlp = skipped?.mlp ? null : block.mlp;
  const shared = attention !== null && block.residual === "parallel" && block.mlpNorms.pre === null;
  const inputs = new Map<MatrixInputKind, { kind: MatrixInputKind; cols: number; roles: BlockRole[] }>();
  for (const { role, linear } of linearsOf({ ...block, attention, mlp })) {
    const kind = shared && KIND_OF[role] === "mlp" ? "attention" : KIND_OF[role];
    const known = inputs.get(kind);
    if (known) known.roles.push(role);
    else inputs.set(kind, { kind, cols: linear.cols, roles: [role] });
  }
  return [...inputs.values()];
}
