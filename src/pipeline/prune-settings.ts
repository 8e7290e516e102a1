import { z } from "zod";
import { PRUNING_KIND_IDS } from "../pruning/index.ts";

/** What is taken out of the checkpoint before anything is quantized: a recipe's `prune`. */
export const PruneSettings = z.strictObject({
  kind: z.enum(PRUNING_KIND_IDS),
  /** Share of the kind's units of the whole model. */
  ratio: z.number().min(0).lt(1),
  /**
   * How it is spread over the blocks. `luc`: by the relative error that pruning makes in their outputs; `edge-llm`: by
   * the mean squared error, as the paper has it; `uniform`: evenly.
   */
  spread: z.enum(["luc", "edge-llm", "uniform"]).default("luc"),
});
export type PruneSettings = z.infer<typeof PruneSettings>;

/** The pruning of a recipe. Throws a plain Error where it has none: a step that prunes is then not wanted. */
export function pruneSettingsOf({ prune }: { readonly prune?: PruneSettings | undefined }): PruneSettings {
  if (prune) return prune;
  throw new Error("the recipe has no pruning");
}
