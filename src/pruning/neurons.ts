import { UNCUT } from "./cut.ts";
import { LUC_PROBES, PLAN_RATIOS, type PruningKind } from "./kind.ts";
import { removeSlices } from "./repaired-columns.ts";

/** Columns of `down` that share a scale or a tile in most codecs: fewer would be padded. */
const STEP = 32;

/**
 * Channels of the feed-forward parts: rows of gate and up, columns of down, of which those that stay are repaired.
 * Smaller matrices, faster in every executor.
 */
export const neurons: PruningKind = {
  summary: "feed-forward channels",
  probes: LUC_PROBES,
  ratios: PLAN_RATIOS,
  // Repaired, `down` gives what it gave already.
  refits: false,
  slicesOf: ({ mlp }) => mlp && { slices: mlp.up.rows, step: STEP, least: Math.min(STEP, mlp.up.rows) },
  cutOf: (channels) => ({ ...UNCUT, channels: [...channels] }),
  prune(block, counts) {
    return removeSlices(block, { role: "mlp.down", size: 1, cutOf: neurons.cutOf }, counts);
  },
};
