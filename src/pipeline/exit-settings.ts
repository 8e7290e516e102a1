import { z } from "zod";
import { Confidence, ExitKind } from "../artifact/exits/table.ts";
import { VOTE_RULE_IDS } from "../decoding/exits/vote-rules/index.ts";
import { UserError } from "../errors.ts";
import { parseWith } from "../formats/files.ts";
import { YamlCount } from "../formats/yaml-document.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import type { ExitShape } from "../model/exit-bytes.ts";
import { EXIT_TEXT_IDS } from "./exit-texts/index.ts";

/** Exits where the recipe names neither points nor a number of them. */
const DEFAULT_COUNT = 3;
/** Of an adapter: 300 kB an exit at a hidden size of 576. */
const DEFAULT_RANK = 128;

/** Which early exits are trained, and on what: a recipe's `exits`. */
export const ExitSettings = z
  .strictObject({
    /**
     * Blocks that run before each exit, evenly spaced points, those where the answers by depth promise most, or the
     * ends of the windows that were tuned.
     */
    after: z.union([z.enum(["even", "auto", "windows"]), z.array(YamlCount).min(1)]).default("even"),
    /** How many, where `after` names no points; 3 by default. */
    count: YamlCount.optional(),
    /** `shared`: the model's own final norm and output head, which read the whole vocabulary and learn nothing. */
    kind: ExitKind.default("adapter"),
    /** Of an adapter; 128, or the hidden size where that is less. */
    rank: YamlCount.optional(),
    /** How many ids the heads score, the most frequent ones; a model that has no more gets all. */
    vocabulary: z.union([z.literal("full"), YamlCount]).default(8192),
    /** Tokens whose hidden states are trained on, held out, calibrated on and reported on, together. */
    tokens: YamlCount.default(300_000),
    /** The recipe's calibration text, or text that the model writes. */
    data: z.enum(EXIT_TEXT_IDS).default("calibration"),
    confidence: Confidence.default("entropy"),
    /** How they are to vote: weights that the rule needs are fitted and stored; absent: none are. */
    vote: z.enum(VOTE_RULE_IDS).optional(),
  })
  .superRefine(({ after, count, kind, rank }, context) => {
    const refuse = (field: string, message: string) => context.addIssue({ code: "custom", path: [field], message });
    if (Array.isArray(after) && count !== undefined) refuse("count", "expected none beside the points of `after`");
    if (kind !== "adapter" && rank !== undefined) refuse("rank", `expected none with kind ${kind}`);
    if (after === "windows" && count !== undefined) refuse("count", "expected none beside the ends of windows");
    if (!Array.isArray(after)) return;
    const wrong = after.findIndex((blocks, i) => i > 0 && blocks <= after[i - 1]);
    if (wrong > 0) context.addIssue({ code: "custom", path: ["after", wrong], message: "expected rising points" });
  });
export type ExitSettings = z.infer<typeof ExitSettings>;

/** The exits of a recipe. Throws a plain Error where it has none: a step that trains them is then not wanted. */
export function exitSettingsOf({ exits }: { readonly exits?: ExitSettings | undefined }): ExitSettings {
  if (exits) return exits;
  throw new Error("the recipe has no exits");
}

/**
 * Settings with other fields; a choice of points, kind or text drops what only went with the old one. Throws UserError
 * `BAD_FIELD`.
 */
export function mergeExitSettings(
  settings: ExitSettings | undefined,
  asked: Partial<Record<keyof ExitSettings, unknown>>,
): ExitSettings {
  const { count, rank, after, ...others } = settings ?? ExitSettings.parse({});
  const keepsCount = asked.after === undefined || !Array.isArray(asked.after);
  const merged = {
    ...others,
    // A number of exits stands against points of the recipe, not beside them.
    after: Array.isArray(after) && asked.count !== undefined ? "even" : after,
    count: keepsCount ? count : undefined,
    rank: (asked.kind ?? others.kind) === "adapter" ? rank : undefined,
    ...Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined)),
  };
  return parseWith(ExitSettings, merged, "exits");
}

/** The points that settings name; null: they are to be found. `ends`: of the windows that are tuned, null for none. */
export function namedPoints({ after }: ExitSettings, ends: readonly number[] | null): readonly number[] | null {
  if (after !== "windows") return Array.isArray(after) ? after : null;
  if (ends?.length) return ends;
  throw new UserError(
    "EXIT_POINTS",
    "exits.after: expected windows of a recipe's tune that end below the last block, found none",
    "name the blocks before each exit",
  );
}

/** How many exits settings that name no points ask for. */
export function exitCount({ count }: ExitSettings): number {
  return count ?? DEFAULT_COUNT;
}

/** The rank of their adapters in this model. */
export function exitRank({ rank }: ExitSettings, { hiddenSize }: Pick<DecoderSpec, "hiddenSize">): number {
  return rank ?? Math.min(DEFAULT_RANK, hiddenSize);
}

/**
 * What exits of these settings will take in this model: known before any is trained, wherever they come to stand.
 * Throws UserError
 * `EXIT_POINTS` or `EXIT_RANK` where the model is too small for them.
 */
export function exitShapeOf(
  settings: ExitSettings,
  spec: DecoderSpec,
  ends: readonly number[] | null = null,
): ExitShape {
  const { blocks, hiddenSize, vocabSize } = spec;
  const { kind, vocabulary } = settings;
  const points = namedPoints(settings, ends);
  const count = points?.length ?? exitCount(settings);
  const deepest = points?.[points.length - 1] ?? count;
  if (deepest >= blocks.length) {
    throw new UserError(
      "EXIT_POINTS",
      `exits: expected ${points ? "points" : "a number of exits"} below the model's ${blocks.length} blocks, found ${deepest}`,
      points ? "name earlier blocks" : "ask for fewer exits",
    );
  }
  const rank = exitRank(settings, spec);
  if (rank > hiddenSize) {
    throw new UserError(
      "EXIT_RANK",
      `exits.rank: expected at most the model's hidden size of ${hiddenSize}, found ${rank}`,
      "ask for a smaller rank",
    );
  }
  return {
    exits: Array.from({ length: count }, () => ({ kind, rank: kind === "adapter" ? rank : null })),
    vocabulary: kind === "shared" || vocabulary === "full" || vocabulary >= vocabSize ? "full" : { ids: vocabulary },
  };
}
