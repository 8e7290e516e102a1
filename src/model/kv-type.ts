import { z } from "zod";

/**
 * How keys and values are kept in the cache; `q8`: 8-bit levels with one f32 scale for each position and key/value
 * head.
 */
export const KV_TYPES = ["f32", "f16", "q8"] as const;
export const KvType = z.enum(KV_TYPES);
export type KvType = z.infer<typeof KvType>;

/** Largest level of `q8`: scale = max|x| / 127. */
export const KV_MAX_LEVEL = 127;

/** Bytes of the key (or the value) of one position and head, `headDim` numbers. */
export function kvVectorBytes(kvType: KvType, headDim: number): number {
  switch (kvType) {
    case "f32":
      return 4 * headDim;
    case "f16":
      return 2 * headDim;
    case "q8":
      return headDim + 4;
    default:
      return kvType satisfies never;
  }
}
