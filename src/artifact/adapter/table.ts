import { z } from "zod";
import { AdapterDtype } from "../../model/adapter-bytes.ts";
import { MAX_RANK } from "../../model/low-rank.ts";
import { ROLES } from "../../model/matrix-id.ts";

/** An artifact's adapter: additions to its blocks' matrices, which every pass has. */
export const AdapterTable = z.strictObject({
  /** How both factors are stored. */
  dtype: AdapterDtype,
  /** In execution order, each matrix once: y += factor * B (A x). */
  parts: z
    .array(
      z.strictObject({
        block: z.number().int().nonnegative(),
        role: z.enum(ROLES),
        rank: z.number().int().positive().max(MAX_RANK),
        factor: z.number(),
      }),
    )
    .min(1),
  /** Where it is from: files with their sha256, or how it was trained. */
  origin: z.record(z.string(), z.unknown()),
});
export type AdapterTable = z.infer<typeof AdapterTable>;
