import type { DecoderSpec } from "../model/decoder-spec.ts";
import { type BlockCut, UNCUT } from "./cut.ts";
import type { BlockPruning } from "./kind.ts";

/** Cuts of the sizes that are wanted, of whichever slices; UNCUT where a block keeps all that it has. */
export function plannedCuts(spec: DecoderSpec, prunings: readonly (BlockPruning | null)[]): BlockCut[] {
  return spec.blocks.map((block, i) => {
    const pruning = prunings[i];
    const slices = pruning?.kind.slicesOf(block)?.slices ?? 0;
    if (!pruning || pruning.kept >= slices) return UNCUT;
    return pruning.kind.cutOf(Array.from({ length: pruning.kept }, (_, slice) => slice));
  });
}
