import type { BlockSpec } from "../model/decoder-spec.ts";
import { type BlockCut, UNCUT } from "./cut.ts";
import type { PruningKind } from "./kind.ts";

/** A kind that leaves whole blocks out, or one half of each: `cut` is what is left of one. */
export function wholeParts(summary: string, cut: Partial<BlockCut>, has: (block: BlockSpec) => boolean): PruningKind {
  const left: BlockCut = { ...UNCUT, ...cut };
  return {
    summary,
    probes: [1],
    ratios: [1],
    refits: true,
    slicesOf: (block) => (has(block) ? { slices: 1, step: 1, least: 0 } : null),
    cutOf: () => left,
    async *prune(_, counts) {
      for (const _count of counts) yield { cut: left, repaired: new Map() };
    },
  };
}
