import { z } from "zod";
import { Confidence } from "../../artifact/exits/table.ts";
import { KvType } from "../../model/kv-type.ts";
import { ExecutorInfo } from "../../runtime/executor-info.ts";
import { Machine } from "../machine.ts";
import { Spread } from "../spread.ts";
import { WASTE_RATES } from "./compare.ts";
import { DraftCosts, SpeedPrediction } from "./cost-model.ts";
import { DRAFTER_KINDS } from "./setups.ts";

const count = z.number().int().nonnegative();

/** One way to decode, over all prompts. */
export const DrafterRow = z.strictObject({
  kind: z.enum(DRAFTER_KINDS),
  name: z.string(),
  /** As in its setup (setups.ts). */
  exit: z.number().int().positive().nullable(),
  epsilon: z.number().nullable(),
  draftLimit: z.number().int().positive().nullable(),
  /** Tokens of all prompts; the first of each comes with the prompt. */
  tokens: count,
  drafted: count,
  accepted: count,
  wasted: count,
  /** Passes to the top after the prompts, and those of them in which no exit was asked. */
  rounds: count,
  plainRounds: count,
  acceptedPerRound: z.number(),
  /** Wasted over drafted; null without drafts. And wasted over tokens. */
  wastedShare: z.number().nullable(),
  wastedPerToken: z.number(),
  acceptedPerToken: z.number(),
  /** Blocks run before a token was proposed, in the mean. */
  meanBlocks: z.number(),
  /** Over the prompts with at least two tokens; null where there is none. Tokens after the first. */
  tokensPerSecond: Spread.nullable(),
  /** Tokens/s over those of plain decoding just before, prompt by prompt. */
  ratio: Spread.nullable(),
  /** Whether the ids are plain decoding's for every prompt. */
  exact: z.boolean(),
  /** What the measured parts let expect; null for plain decoding. */
  predicted: SpeedPrediction.nullable(),
});
export type DrafterRow = z.infer<typeof DrafterRow>;

/** One DSSD row beside the fixed ones at the same rate of wasted tokens (compare.ts). */
export const DrafterComparison = z.strictObject({
  name: z.string(),
  rate: z.enum(WASTE_RATES),
  waste: z.number().nullable(),
  acceptedPerToken: z.number(),
  /** Name of the best fixed row that wastes no more; null: each wastes more. */
  best: z.string().nullable(),
  ratio: z.number().nullable(),
  mixedAccepted: z.number(),
  mixedRatio: z.number().nullable(),
});
export type DrafterComparison = z.infer<typeof DrafterComparison>;

/** The document of `layerwise bench --drafters --json`. */
export const DraftersResult = z.strictObject({
  model: z.string(),
  executor: ExecutorInfo,
  kvType: KvType,
  confidence: Confidence,
  /** Blocks of the model, and those run before each exit. */
  blocks: z.number().int().positive(),
  exits: z.array(z.number().int().positive()),
  prompts: z.strictObject({
    /** A file, or the text that ships. */
    source: z.string(),
    count: z.number().int().positive(),
    tokens: count,
  }),
  /** Wanted of each prompt; end-of-sequence ends one before. */
  generateTokens: z.number().int().positive(),
  costs: DraftCosts,
  /** Plain decoding first. */
  rows: z.array(DrafterRow).min(1),
  comparisons: z.array(DrafterComparison),
  /**
   * By the cost model, if every exit knew when it is right (perfect-exits.ts): the most that thresholds could make of
   * these heads; and the share of tokens that would leave early. Null where nothing was generated.
   */
  perfect: z.strictObject({ predicted: SpeedPrediction, coverage: z.number() }).nullable(),
  machine: Machine,
  date: z.iso.datetime(),
});
export type DraftersResult = z.infer<typeof DraftersResult>;
