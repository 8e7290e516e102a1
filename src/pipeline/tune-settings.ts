import { z } from "zod";
import type { AdapterShape } from "../model/adapter-bytes.ts";
import { type DecoderSpec, linearsOf } from "../model/decoder-spec.ts";
import { TuneSettings } from "../training/tuning/settings.ts";
import { windowsOf } from "../training/tuning/window-order.ts";

/** How the packed model is tuned: a recipe's `tune`, the settings of `layerwise tune` and its text. */
export const TuneRecipe = TuneSettings.extend({
  /** Text files (.txt, .jsonl), relative to the recipe; absent: those of the calibration. */
  data: z.array(z.string().min(1)).min(1).optional(),
});
export type TuneRecipe = z.infer<typeof TuneRecipe>;

/** A recipe, as far as it tunes. */
interface Tuning {
  readonly tune?: TuneRecipe | undefined;
}

/** How tuned additions are stored in an artifact. */
export const TUNED_DTYPE = "F16";

/** The tuning of a recipe. Throws a plain Error where it has none: a step that tunes is then not wanted. */
export function tuneSettingsOf({ tune }: Tuning): TuneRecipe {
  if (tune) return tune;
  throw new Error("the recipe has no tuning");
}

/** What tuning will add to a model: known before anything is learned. Null: nothing. */
export function tunedShapeOf({ tune }: Tuning, { blocks }: DecoderSpec): AdapterShape | null {
  if (!tune) return null;
  const { rank, roles, firstBlock } = tune;
  const parts = blocks.flatMap((of, block) => {
    const wanted = block < firstBlock ? [] : linearsOf(of).filter(({ role }) => roles.includes(role));
    return wanted.map(({ role }) => ({ block, role, rank }));
  });
  return { dtype: TUNED_DTYPE, parts };
}

/** Blocks run at the end of each tuned window below the last block: where exits may stand. Null: nothing is tuned. */
export function windowEndsOf({ tune }: Tuning, { blocks }: Pick<DecoderSpec, "blocks">): number[] | null {
  if (!tune) return null;
  const ends = windowsOf(blocks.length, tune.window, tune.firstBlock).map(({ to }) => to);
  return ends.filter((end) => end < blocks.length);
}
