import { z } from "zod";

const bytes = z.number().int().nonnegative();

/** One line of the memory sum. */
export const MemoryItem = z.strictObject({
  /** Stable key: `embedding.levels`, `attn.levels`, `mlp.scales`, `vectors`, `header`, `padding`, `exits`, `kv`, `workspace`, … */
  key: z.string(),
  /** The same for people. */
  label: z.string(),
  bytes,
  /** In the weights files (and equal to their bytes in sum), or needed at run time only. */
  where: z.enum(["file", "runtime"]),
});
export type MemoryItem = z.infer<typeof MemoryItem>;

/** What a run needs, itemised (model/memory.ts computes it; nothing else does). */
export const MemorySum = z.strictObject({
  items: z.array(MemoryItem),
  /** Sum of the items `where: "file"`: exactly the bytes of the weights files. */
  fileBytes: bytes,
  /** Sum of all items: what the budget covers by default. */
  modelBytes: bytes,
  /** Measured base of the runtime, beside the sum; inside it with `budgetCovers: "process"`. */
  runtimeBaseBytes: bytes,
  budgetCovers: z.enum(["model", "process"]),
  /** What is held against the budget. */
  totalBytes: bytes,
  contextTokens: z.number().int().positive(),
  kvType: z.enum(["f32", "f16"]),
  residency: z.enum(["packed", "resident"]),
});
export type MemorySum = z.infer<typeof MemorySum>;

/** The codec of one unit. Here a unit is one matrix; matrices that must agree have the same codec. */
export const PlanUnit = z.strictObject({
  /** Matrix id: `embedding`, `head`, `blocks.3.mlp.down`. */
  id: z.string(),
  codec: z.string(),
  bytes,
  /** The recipe rule that fixed or raised it, if one did. */
  rule: z.string().nullable(),
});
export type PlanUnit = z.infer<typeof PlanUnit>;

/** Unit -> codec under a budget, with the itemised memory sum. */
export const Plan = z.strictObject({
  formatVersion: z.literal(1),
  allocator: z.string(),
  /** The scores that ranked the blocks; null for `uniform`. */
  scorer: z.string().nullable(),
  budgetBytes: bytes.nullable(),
  units: z.array(PlanUnit),
  memory: MemorySum,
  /** KL divergence or output error that the scorer predicts for this plan; null where it predicts none. */
  predictedLoss: z.number().nullable(),
  /** Sum over blocks of importance x bits lowered below 16, for rankings without a prediction. */
  importanceLowered: z.number().nullable(),
});
export type Plan = z.infer<typeof Plan>;
