import { z } from "zod";

/** How well predicted losses agree with measured ones that the prediction had not seen. */
export const PredictionFit = z.strictObject({
  pairs: z.number().int().positive(),
  /** Spearman's, over all pairs; null where one side is constant. */
  rankCorrelation: z.number().nullable(),
  /** Median of predicted / measured. */
  medianRatio: z.number(),
  /** Nine of ten pairs are within this factor, either way. */
  factor90: z.number(),
});
export type PredictionFit = z.infer<typeof PredictionFit>;

/**
 * The result of a scorer: a file that can be opened, and planned from any number of times.
 * `importance`: one number a block, higher = keep more bits (lsaq, cosine).
 * `losses`: predicted loss of a unit at a codec (output-mse: relative output error; kl: KL divergence in nats).
 */
export const Scores = z.strictObject({
  formatVersion: z.literal(1),
  scorer: z.string(),
  /** Options that the numbers depend on: k, norm, tokens, codecs, … */
  options: z.record(z.string(), z.unknown()),
  /** What names the checkpoint (in a run folder a sha256 of config and weights files) and the calibration token ids. */
  checkpointId: z.string(),
  calibrationId: z.string(),
  tokens: z.number().int().positive(),
  /** One entry a block, in order. Null where the scorer measures losses only. */
  importance: z.array(z.number()).nullable(),
  /**
   * Unit (`blocks.<i>`, a matrix `blocks.<i>.<role>`, `embedding`, `head`) -> codec id -> loss; `kv` -> KV type ->
   * loss. Null where the scorer predicts none.
   */
  losses: z.record(z.string(), z.record(z.string(), z.number())).nullable(),
  /**
   * Further figures of a unit at a codec (output-mse: `mse`, `relDelta`; kl by matrix: `error`, `predicted`,
   * `measured`), for reading; planning does not use them.
   */
  details: z.record(z.string(), z.record(z.string(), z.record(z.string(), z.number()))).optional(),
  /** Where most losses are predicted (kl by matrix): how they agree with measured ones. */
  fit: PredictionFit.optional(),
});
export type Scores = z.infer<typeof Scores>;

/** Unit -> codec -> loss, as in `Scores.losses`. */
export type Losses = Record<string, Record<string, number>>;
