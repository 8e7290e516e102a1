import { UserError } from "../errors.ts";
import { gptq } from "./gptq.ts";
import { learnedRounding } from "./learned-rounding.ts";
import { nearest } from "./nearest.ts";
import type { BlockQuantizer, Quantizer } from "./quantizer.ts";
import { weighted } from "./weighted.ts";

/** Every quantizer, of matrices or of whole blocks, under its name; a new one is a file and a line here. */
export const QUANTIZERS = {
  nearest,
  weighted,
  gptq,
  "learned-rounding": learnedRounding,
} as const satisfies Record<string, Quantizer | BlockQuantizer>;

/** What a recipe may name. */
export type RecipeQuantizerId = keyof typeof QUANTIZERS;
/** Quantizers of whole blocks. */
export type BlockQuantizerId = {
  [Id in RecipeQuantizerId]: (typeof QUANTIZERS)[Id] extends BlockQuantizer ? Id : never;
}[RecipeQuantizerId];
/** Quantizers of matrices. */
export type QuantizerId = Exclude<RecipeQuantizerId, BlockQuantizerId>;

/** All names, in the table's order. */
export const RECIPE_QUANTIZER_IDS: readonly RecipeQuantizerId[] = Object.keys(QUANTIZERS).filter(isName);

/** The names of quantizers of matrices, in the table's order. */
export const QUANTIZER_IDS: readonly QuantizerId[] = RECIPE_QUANTIZER_IDS.filter((id) => !isBlockQuantizer(id));

/** Whether it needs whole blocks, and so a plan and its requantizing pass. */
export function isBlockQuantizer(id: RecipeQuantizerId): id is BlockQuantizerId {
  return "begins" in QUANTIZERS[id];
}

/** The quantizer of matrices by which a recipe's quantizer begins, and by which libraries are made. */
export function matrixQuantizerOf(id: RecipeQuantizerId): QuantizerId {
  return isBlockQuantizer(id) ? QUANTIZERS[id].begins : id;
}

/** The quantizer of matrices of that name. Throws UserError QUANTIZER_UNKNOWN, with all names. */
export function quantizerOf(id: string): Quantizer {
  const known = QUANTIZER_IDS.find((name) => name === id);
  if (known) return QUANTIZERS[known];
  throw new UserError(
    "QUANTIZER_UNKNOWN",
    `quantizer: expected one of ${QUANTIZER_IDS.join(", ")}; found "${id}"`,
    "use one of these names",
  );
}

function isName(name: string): name is RecipeQuantizerId {
  return Object.hasOwn(QUANTIZERS, name);
}
