import { z } from "zod";
import { KvType } from "./kv-type.ts";

const bytes = z.number().int().nonnegative();

/** One line of the memory sum. */
export const MemoryItem = z.strictObject({
  /**
   * Stable key: `embedding.levels`, `attn.levels`, `mlp.scales`, `vectors`, `header`, `padding`, `exits`, `kv`,
   * `workspace`, `exits.vocabulary`, …
   */
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
  /**
   * Sum of the items `where: "file"`: exactly the bytes of the weights files (and of the exits, where there are any).
   */
  fileBytes: bytes,
  /** Sum of all items: what the budget covers by default. */
  modelBytes: bytes,
  /** Measured base of the runtime, beside the sum; inside it with `budgetCovers: "process"`. */
  runtimeBaseBytes: bytes,
  budgetCovers: z.enum(["model", "process"]),
  /** What is held against the budget. */
  totalBytes: bytes,
  contextTokens: z.number().int().positive(),
  kvType: KvType,
  residency: z.enum(["packed", "resident"]),
});
export type MemorySum = z.infer<typeof MemorySum>;

/** A memory sum with other items in place of those that it has. */
export function withItems(memory: MemorySum, items: readonly MemoryItem[]): MemorySum {
  const sum = (some: readonly MemoryItem[]) => some.reduce((total, { bytes }) => total + bytes, 0);
  const modelBytes = sum(items);
  return {
    ...memory,
    items: [...items],
    fileBytes: sum(items.filter(({ where }) => where === "file")),
    modelBytes,
    totalBytes: memory.totalBytes - memory.modelBytes + modelBytes,
  };
}
