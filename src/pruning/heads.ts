import { UNCUT } from "./cut.ts";
import { LUC_PROBES, PLAN_RATIOS, type PruningKind } from "./kind.ts";
import { removeSlices } from "./repaired-columns.ts";

/** Key/value heads with the query heads that read them; what stays of o is repaired. The KV cache shrinks as well. */
export const heads: PruningKind = {
  summary: "key/value heads with their query heads",
  probes: LUC_PROBES,
  ratios: PLAN_RATIOS,
  refits: true,
  slicesOf: ({ attention }) => attention && { slices: attention.kvHeads, step: 1, least: 1 },
  cutOf: (kvHeads) => ({ ...UNCUT, kvHeads: [...kvHeads] }),
  prune(block, counts) {
    const { attention } = block.source.spec.blocks[block.block];
    if (!attention) throw new Error(`block ${block.block} has no attention to prune`);
    const size = (attention.heads / attention.kvHeads) * attention.headDim;
    return removeSlices(block, { role: "attn.o", size, cutOf: heads.cutOf }, counts);
  },
  refuse({ attention }) {
    const all = attention?.qNorm && attention.qNorm.size !== attention.headDim;
    return all ? "its norms go over all heads together, so that none can be left out" : null;
  },
};
