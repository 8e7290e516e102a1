import { z } from "zod";
import { MemorySum } from "../model/memory-sum.ts";

export { MemoryItem, MemorySum } from "../model/memory-sum.ts";

const bytes = z.number().int().nonnegative();

/** The codec of one matrix. */
export const PlannedMatrix = z.strictObject({
  /** Matrix id: `embedding`, `head`, `blocks.3.mlp.down`. */
  id: z.string(),
  codec: z.string(),
  bytes,
  /** The recipe rule that fixed or raised it, if one did. */
  rule: z.string().nullable(),
});
export type PlannedMatrix = z.infer<typeof PlannedMatrix>;

/** What a plan leaves out of a block: so many of its slices of a kind stay. */
export const PlannedCut = z.strictObject({
  kind: z.string(),
  kept: z.number().int().nonnegative(),
  slices: z.number().int().positive(),
  /** What the model loses by it alone, as measured; in the unit of the plan's predicted loss. */
  loss: z.number(),
});
export type PlannedCut = z.infer<typeof PlannedCut>;

/** What a plan that may leave something out of blocks has chosen, beside what it has not. */
const PlannedPruning = z.strictObject({
  /** One a block; null: it stays whole. */
  cuts: z.array(PlannedCut.nullable()),
  /** Predicted loss of the best plan within the budget with every block whole; null: none fits; absent: not asked. */
  wholeLoss: z.number().nullable().optional(),
  /** Where every block stays whole: that of the best plan with the cheapest cut for its bytes; null: none fits. */
  cutLoss: z.number().nullable().optional(),
});

/** Every matrix's codec under a budget, with the itemised memory sum. */
export const Plan = z.strictObject({
  formatVersion: z.literal(1),
  allocator: z.string(),
  /** The scores that ranked the blocks; null for `uniform`. */
  scorer: z.string().nullable(),
  budgetBytes: bytes.nullable(),
  /** Every matrix, in order: what was chosen for a unit stands at each of its matrices. */
  units: z.array(PlannedMatrix),
  memory: MemorySum,
  /** KL divergence or output error that the scorer predicts for this plan; null where it predicts none. */
  predictedLoss: z.number().nullable(),
  /** Sum over blocks of importance x bits lowered below 16, for rankings without a prediction. */
  importanceLowered: z.number().nullable(),
  /** Absent: it could leave nothing out. */
  pruning: PlannedPruning.optional(),
});
export type Plan = z.infer<typeof Plan>;
