import { type DecoderSpec, linearsOf } from "../../model/decoder-spec.ts";
import type { LowRankPart } from "../../model/low-rank.ts";
import { type BlockRole, idOf } from "../../model/matrix-id.ts";
import { Random } from "../../tensor/random.ts";
import type { BlockAdditions, LowRank } from "./block/low-rank.ts";
import type { Window } from "./window-order.ts";

/** What additions are made. */
export interface AdditionSettings {
  readonly rank: number;
  readonly alpha: number;
  readonly roles: readonly BlockRole[];
  readonly firstBlock: number;
  readonly seed: number;
}

/**
 * An addition to every matrix of the roles, in order of the blocks: B of zeros, so that nothing changes at first, and A
 * uniform within sqrt(3 / cols) / sqrt(3), as PEFT has it. A matrix' numbers depend on the seed and its name alone.
 */
export function startParts(
  spec: DecoderSpec,
  { rank, alpha, roles, firstBlock, seed }: AdditionSettings,
): LowRankPart[] {
  const random = new Random(seed);
  return spec.blocks.flatMap((block, i) => {
    if (i < firstBlock) return [];
    return linearsOf(block).flatMap(({ role, linear: { rows, cols } }) => {
      if (!roles.includes(role)) return [];
      const own = random.fork(idOf(i, role));
      const bound = 1 / Math.sqrt(cols);
      const a = Float32Array.from({ length: rank * cols }, () => bound * (2 * own.next() - 1));
      return [{ block: i, role, rank, a, b: new Float32Array(rows * rank), factor: alpha / rank }];
    });
  });
}

/** Additions by block; those of blocks in `learned` have slopes, of zeros. */
export function additionsOf(parts: readonly LowRankPart[], blocks: number, learned: Window): BlockAdditions[] {
  const all = Array.from({ length: blocks }, () => new Map<BlockRole, LowRank>());
  for (const part of parts) {
    const isLearned = part.block >= learned.from && part.block < learned.to;
    const slopes = isLearned ? { a: new Float32Array(part.a.length), b: new Float32Array(part.b.length) } : null;
    all[part.block].set(part.role, { part, slopes });
  }
  return all;
}

/** Parts that change something: those whose B is not all zeros. */
export function activeParts(parts: readonly LowRankPart[]): LowRankPart[] {
  return parts.filter(({ b }) => b.some((value) => value !== 0));
}
