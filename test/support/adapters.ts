import { type DecoderSpec, linearsOf } from "../../src/model/decoder-spec.ts";
import type { LowRankPart } from "../../src/model/low-rank.ts";
import type { BlockRole } from "../../src/model/matrix-id.ts";
import { Random } from "../../src/tensor/random.ts";

export interface RandomParts {
  /** Default 3. */
  readonly rank?: number;
  /** Default 0.75. */
  readonly factor?: number;
  /** Standard deviation of A's and B's numbers. Default 0.1. */
  readonly scale?: number;
  /** Which matrices get an addition. Default: all. */
  readonly has?: (block: number, role: BlockRole) => boolean;
}

/** Random low-rank additions to a model's matrices, each with an A of its own. */
export function randomParts(spec: DecoderSpec, options: RandomParts = {}): LowRankPart[] {
  const { rank = 3, factor = 0.75, scale = 0.1, has = () => true } = options;
  const normals = (name: string, length: number) => {
    const random = new Random(9).fork(name);
    return Float32Array.from({ length }, () => scale * random.nextNormal());
  };
  return spec.blocks.flatMap((of, block) =>
    linearsOf(of)
      .filter(({ role }) => has(block, role))
      .map(({ role, linear: { rows, cols } }) => ({
        ...{ block, role, rank, factor },
        a: normals(`a ${block} ${role}`, rank * cols),
        b: normals(`b ${block} ${role}`, rows * rank),
      })),
  );
}

/** The same where matrices that read the same inputs have one A, as layers that are fused in a checkpoint do. */
export function withCommonInputs(parts: readonly LowRankPart[]): LowRankPart[] {
  const firstOf: Partial<Record<BlockRole, BlockRole>> = {
    "attn.k": "attn.q",
    "attn.v": "attn.q",
    "mlp.up": "mlp.gate",
  };
  return parts.map((part) => {
    const first = parts.find(({ block, role }) => block === part.block && role === firstOf[part.role]);
    return first ? { ...part, a: first.a } : part;
  });
}
