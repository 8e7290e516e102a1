import { z } from "zod";
import { PRUNING_KIND_IDS, type PruningKindId } from "../pruning/index.ts";
import { SPREAD_IDS } from "../pruning/spreads.ts";

/** Kinds that leave shapes as they are have settings of their own (mask-settings.ts). */
const Kind = z.enum(PRUNING_KIND_IDS);

/** What is taken out of the checkpoint before anything is quantized: a recipe's `prune`. */
export const PruneSettings = z
  .strictObject({
    /** One kind, or with `ratio: auto` several to choose from. */
    kind: Kind.or(z.array(Kind).min(1)),
    /** Share of the kind's slices of the whole model; auto: the plan chooses for each block, beside its codecs. */
    ratio: z.number().min(0).lt(1).or(z.literal("auto")),
    /**
     * How a ratio is spread over the blocks: by what pruning does to their outputs, relatively or in squared errors as
     * the paper has it, by what it does to the model's output, or evenly.
     */
    spread: z.enum(SPREAD_IDS).default("luc"),
  })
  .superRefine(({ kind, ratio }, context) => {
    if (ratio === "auto" || !Array.isArray(kind) || kind.length === 1) return;
    const message = `expected one kind with a ratio, found ${kind.join(", ")}`;
    context.addIssue({ code: "custom", path: ["kind"], message });
  });
export type PruneSettings = z.infer<typeof PruneSettings>;

/** A recipe, as far as it prunes. */
interface Pruning {
  readonly prune?: PruneSettings | undefined;
}

/** The kinds of a pruning, without repetitions. */
export function kindsOf({ kind }: PruneSettings): PruningKindId[] {
  return [...new Set([kind].flat())];
}

/** Whether the plan chooses what blocks lose. */
export function prunesByPlan({ prune }: Pruning): boolean {
  return prune?.ratio === "auto";
}

/** The pruning of a recipe. Throws a plain Error where it has none: a step that prunes is then not wanted. */
export function pruneSettingsOf({ prune }: Pruning): PruneSettings {
  if (prune) return prune;
  throw new Error("the recipe has no pruning");
}
