import { z } from "zod";
import { LOGIT_BYTES } from "../../evaluation/logit-rows.ts";
import { KvType } from "../../model/kv-type.ts";
import { PREDICTIONS } from "./predict-losses.ts";

/** Options of the scorer `kl`. */
export const KlOptions = z.strictObject({
  /** What gets a loss of its own: every block, or every matrix (two of its codecs measured, the others predicted). */
  unit: z.enum(["block", "matrix"]).default("block"),
  /** unit matrix: the codecs measured of every matrix; default: those of the recipe nearest to 3 and 4 bits. */
  probes: z.array(z.string()).min(1).optional(),
  /**
   * The same for embedding and output head; default: those of `probes` that they may get, else of their own codecs
   * those nearest to 3 and 4 bits.
   */
  embeddingProbes: z.array(z.string()).min(1).optional(),
  /**
   * unit matrix: of each role every so many-th matrix is probed (the first two and the last too), the others' probes
   * are interpolated over the blocks; see spread-probes.ts.
   */
  probeEvery: z.number().int().positive().default(1),
  /**
   * unit matrix: further pairs of matrix and codec that are measured, to report how well the prediction fits; by a seed
   * of their own.
   */
  fitPairs: z.number().int().nonnegative().default(40),
  fitSeed: z.number().int().nonnegative().default(0),
  /** unit matrix: how losses follow from errors; see predict-losses.ts. */
  prediction: z.enum(PREDICTIONS).default("proportional"),
  /** unit matrix: measure every matrix at every codec; nothing is predicted. */
  exhaustive: z.boolean().default(false),
  /** unit matrix: KV types whose loss is measured, for `kvChoices` of a plan. */
  kv: z.array(KvType).default([]),
  /** Bytes of hidden states of the variants that advance together. Does not change the numbers. */
  maxVariantBytes: z
    .number()
    .positive()
    .default(192 * 1024 * 1024),
  /**
   * Variants that advance together at most: losses are saved, for a run that is interrupted, whenever a group is done.
   */
  maxVariants: z.number().int().positive().default(16),
  /** Bytes of logits held at a time, for the reference and for a variant each. Does not change the numbers. */
  maxLogitBytes: z.number().positive().default(LOGIT_BYTES),
});
export type KlOptions = z.infer<typeof KlOptions>;
