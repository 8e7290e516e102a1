import { UserError } from "../errors.ts";
import { gptq } from "./gptq.ts";
import { nearest } from "./nearest.ts";
import type { Quantizer } from "./quantizer.ts";
import { weighted } from "./weighted.ts";

/** Every quantizer under its name; a new one is a file and a line here. */
export const QUANTIZERS = {
  nearest,
  weighted,
  gptq,
} as const satisfies Record<string, Quantizer>;

export type QuantizerId = keyof typeof QUANTIZERS;

/** Quantizers of whole blocks: what packs a block's matrices before all of it is refined together. */
const BLOCK_QUANTIZERS = { "learned-rounding": "gptq" } as const satisfies Record<string, QuantizerId>;
type BlockQuantizerId = keyof typeof BLOCK_QUANTIZERS;

/** What a recipe may name: a quantizer of matrices, or of whole blocks. */
export type RecipeQuantizerId = QuantizerId | BlockQuantizerId;

/** Whether it needs whole blocks, and so a plan and its requantizing pass. */
export function isBlockQuantizer(id: RecipeQuantizerId): id is BlockQuantizerId {
  return Object.hasOwn(BLOCK_QUANTIZERS, id);
}

/** The quantizer of matrices by which a recipe's quantizer begins, and by which libraries are made. */
export function matrixQuantizerOf(id: RecipeQuantizerId): QuantizerId {
  return isBlockQuantizer(id) ? BLOCK_QUANTIZERS[id] : id;
}

function isQuantizerId(id: string): id is QuantizerId {
  return Object.hasOwn(QUANTIZERS, id);
}

/** All names, in the table's order. */
export const QUANTIZER_IDS: readonly QuantizerId[] = Object.keys(QUANTIZERS).filter(isQuantizerId);

/** What a recipe may name: all of them, then those of whole blocks. */
export const RECIPE_QUANTIZER_IDS: readonly RecipeQuantizerId[] = [...QUANTIZER_IDS, "learned-rounding"];

/** The quantizer of that name. Throws UserError QUANTIZER_UNKNOWN, with all names. */
export function quantizerOf(id: string): Quantizer {
  if (isQuantizerId(id)) return QUANTIZERS[id];
  throw new UserError(
    "QUANTIZER_UNKNOWN",
    `quantizer: expected one of ${QUANTIZER_IDS.join(", ")}; found "${id}"`,
    "use one of these names",
  );
}
