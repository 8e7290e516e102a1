import { z } from "zod";

/**
 * How sure an exit head is of its answer: entropy in nats (low is sure), largest probability, or its lead over the
 * second (high is sure).
 */
export const Confidence = z.enum(["entropy", "max", "margin"]);
export type Confidence = z.infer<typeof Confidence>;

const count = z.number().int().nonnegative();
const positive = z.number().int().positive();
const share = z.number().min(0).max(1);

/**
 * What an exit's head is: a low-rank addition before rows of the output head, a matrix of its own, or the model's own
 * final norm and output head over the whole vocabulary (the logit lens).
 */
export const ExitKind = z.enum(["adapter", "linear", "shared"]);

/** One exit head. */
export const ExitRecord = z
  .strictObject({
    /** Blocks that run before it: the head reads the output of block `blocks - 1`. */
    blocks: positive,
    kind: ExitKind,
    /** Of the adapter; null: the others have none. */
    rank: positive.nullable(),
    /** Of its own tensors in the exits file. */
    bytes: count,
  })
  .refine(({ kind, rank }) => (kind === "adapter") === (rank !== null), {
    path: ["rank"],
    error: "expected a rank for an adapter and null for others",
  });
export type ExitRecord = z.infer<typeof ExitRecord>;

/** What exits did on text that neither trained nor calibrated them. */
export const ExitReport = z.strictObject({
  tokens: positive,
  /** Share of tokens that left at an exit, and of those the share whose answer was the full model's. */
  coverage: share,
  /** Null where none left. */
  agreement: share.nullable(),
  agreementError: z.number().nonnegative().nullable(),
  /** Blocks run a token, the whole model's where no exit took it. */
  meanBlocks: z.number().positive(),
  /** The same exit by exit: shares of all tokens. */
  exits: z.array(z.strictObject({ coverage: share, agreement: share.nullable() })),
});
export type ExitReport = z.infer<typeof ExitReport>;

/** Thresholds for one wanted agreement with the full model. */
export const ExitLevel = z.strictObject({
  epsilon: share,
  /** An exit takes a token whose confidence is this or surer; null: never. In the order of the exits. */
  thresholds: z.array(z.number().nullable()),
  report: ExitReport,
});
export type ExitLevel = z.infer<typeof ExitLevel>;

/** What the vote of each exit and of the output head counts, fitted to text (docs/exits.md, "Voting"). */
export const VoteWeights = z.strictObject({
  /** One an exit, in their order, then the output head's: shares of 1. */
  weights: z.array(share),
  /** Tokens that they were fitted to. */
  tokens: positive,
  /**
   * Means on tokens that nothing was fitted to, in nats: what the output head alone loses, what the vote does, and the
   * standard error of the difference.
   */
  report: z.strictObject({
    tokens: positive,
    outputNll: z.number(),
    voteNll: z.number(),
    differenceError: z.number().nonnegative(),
  }),
});
export type VoteWeights = z.infer<typeof VoteWeights>;

/** An artifact's early exits: heads, and thresholds by accuracy level. */
export const ExitTable = z
  .strictObject({
    /** By rising `blocks`. */
    exits: z.array(ExitRecord).min(1),
    confidence: Confidence,
    /**
     * Ids that the heads score: all, or the most frequent so many, listed in the exits file, and one logit for the
     * rest.
     */
    vocabulary: z.union([z.literal("full"), z.strictObject({ ids: positive })]),
    /** By rising epsilon. */
    levels: z.array(ExitLevel).min(1),
    /** Absent where they were not asked for. */
    voting: VoteWeights.optional(),
    training: z.strictObject({
      /** Tokens trained on, held out for stopping (0 where nothing is trained), calibrated on, reported on. */
      tokens: z.strictObject({ train: count, stop: count, calibrate: positive, report: positive }),
      /**
       * Whose text it was (`self`: written by the model), and the hash of its ids; absent where whoever trained did not
       * say.
       */
      text: z.strictObject({ data: z.enum(["calibration", "self"]), id: z.string() }).optional(),
      seed: z.number().int(),
      /** What computed: trained numbers are the same for the same backend and version only. */
      backend: z.string(),
      /**
       * Each head alone, on so many tokens of the report: share of its answers that are the full model's over the whole
       * vocabulary, and of those of the untrained logit lens (final norm and output head) at its block. Absent where it
       * was not measured.
       */
      heads: z.array(z.strictObject({ tokens: positive, agreement: share, lensAgreement: share })).optional(),
    }),
  })
  .superRefine(({ exits, vocabulary, levels, voting, training }, context) => {
    const rising = (values: readonly number[]) => values.every((value, i) => i === 0 || value > values[i - 1]);
    if (!rising(exits.map(({ blocks }) => blocks))) {
      context.addIssue({ code: "custom", path: ["exits"], message: "expected exits by rising blocks" });
    }
    if (vocabulary !== "full" && exits.some(({ kind }) => kind === "shared")) {
      context.addIssue({ code: "custom", path: ["vocabulary"], message: 'expected "full" with shared exits' });
    }
    if (!rising(levels.map(({ epsilon }) => epsilon))) {
      context.addIssue({ code: "custom", path: ["levels"], message: "expected levels by rising epsilon" });
    }
    if (voting && (voting.weights.length !== exits.length + 1 || voting.weights.every((weight) => weight === 0))) {
      const message = "expected one for each exit and the output head, not all 0";
      context.addIssue({ code: "custom", path: ["voting", "weights"], message });
    }
    if (training.heads && training.heads.length !== exits.length) {
      context.addIssue({ code: "custom", path: ["training", "heads"], message: "expected one entry for each exit" });
    }
    for (const [i, { thresholds, report }] of levels.entries()) {
      if (thresholds.length !== exits.length || report.exits.length !== exits.length) {
        context.addIssue({ code: "custom", path: ["levels", i], message: `expected one entry for each exit` });
      }
    }
  });
export type ExitTable = z.infer<typeof ExitTable>;

/** Whether a confidence is at the threshold or surer; never without a threshold. */
export function isConfident(confidence: Confidence, value: number, threshold: number | null): boolean {
  if (threshold === null) return false;
  return confidence === "entropy" ? value <= threshold : value >= threshold;
}
