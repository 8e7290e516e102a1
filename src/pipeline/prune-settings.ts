import { z } from "zod";
import { PRUNING_KIND_IDS } from "../pruning/index.ts";
import { SPREAD_IDS } from "../pruning/spreads.ts";

/** What is taken out of the checkpoint before anything is quantized: a recipe's `prune`. */
export const PruneSettings = z.strictObject({
  kind: z.enum(PRUNING_KIND_IDS),
  /** Share of the kind's slices of the whole model. */
  ratio: z.number().min(0).lt(1),
  /**
   * How it is spread over the blocks: by what pruning does to their outputs, relatively or in squared errors as the
   * paper has it, or evenly.
   */
  spread: z.enum(SPREAD_IDS).default("luc"),
});
export type PruneSettings = z.infer<typeof PruneSettings>;

/** The pruning of a recipe. Throws a plain Error where it has none: a step that prunes is then not wanted. */
export function pruneSettingsOf({ prune }: { readonly prune?: PruneSettings | undefined }): PruneSettings {
  if (prune) return prune;
  throw new Error("the recipe has no pruning");
}
