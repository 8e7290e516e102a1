import { z } from "zod";

/**
 * Type of the activations in products with integer codecs; `int8`: quantized, 32 columns under one scale. Native only.
 */
export const ACTIVATION_TYPES = ["int8", "f32"] as const;
export type ActivationType = (typeof ACTIVATION_TYPES)[number];

/**
 * How weights are held. `packed`: as stored (tfjs expands a tile at a time, native uses them in place); `resident`:
 * dense ones too, in f32; `streamed`: read a block at a time.
 */
const RESIDENCIES = ["packed", "resident", "streamed"] as const;
export type Residency = (typeof RESIDENCIES)[number];

/** What an executor says of itself, for `inspect` and `--json`. */
export const ExecutorInfo = z.strictObject({
  /** Its name in the table of executors. */
  executor: z.string(),
  /** tfjs: `tensorflow`, `wasm` or `cpu`; null for native. */
  backend: z.string().nullable(),
  /** native: the instruction set, `avx2`, `neon`, …; null for tfjs. */
  isa: z.string().nullable(),
  /** Why this one and not a faster one. */
  reason: z.string(),
  threads: z.number().int().positive().nullable(),
  activations: z.enum(ACTIVATION_TYPES),
  residency: z.enum(RESIDENCIES),
  /** Of packed weights that are streamed: bytes in memory, buffers included, and bytes that a token reads from disk. */
  streamed: z
    .strictObject({ heldBytes: z.number().int().nonnegative(), tokenBytes: z.number().int().nonnegative() })
    .optional(),
});
export type ExecutorInfo = z.infer<typeof ExecutorInfo>;

/** "native avx2", "tfjs wasm". */
export function executorName({ executor, backend, isa }: Pick<ExecutorInfo, "executor" | "backend" | "isa">): string {
  return [executor, isa ?? backend].filter((part) => part !== null).join(" ");
}
