import { UserError } from "../errors.ts";
import { quantizeGptq } from "./gptq.ts";
import { quantizeNearest } from "./nearest.ts";
import type { Quantizer } from "./quantizer.ts";
import type { QuantizerNeeds } from "./quantizer-input.ts";
import { quantizeWeighted } from "./weighted.ts";

/** Every quantizer under its name; a new one is a file and a line here. */
export const QUANTIZERS = {
  nearest: quantizeNearest,
  weighted: quantizeWeighted,
  gptq: quantizeGptq,
} as const satisfies Record<string, Quantizer>;

export type QuantizerId = keyof typeof QUANTIZERS;

/** What each quantizer needs of a matrix's inputs (QuantizeOptions.input). */
export const QUANTIZER_NEEDS: Readonly<Record<QuantizerId, QuantizerNeeds>> = {
  nearest: "nothing",
  weighted: "weights",
  gptq: "factor",
};

function isQuantizerId(id: string): id is QuantizerId {
  return Object.hasOwn(QUANTIZERS, id);
}

/** All names, in the table's order. */
export const QUANTIZER_IDS: readonly QuantizerId[] = Object.keys(QUANTIZERS).filter(isQuantizerId);

/** The quantizer of that name. Throws UserError QUANTIZER_UNKNOWN, with all names. */
export function quantizerOf(id: string): Quantizer {
  if (isQuantizerId(id)) return QUANTIZERS[id];
  throw new UserError(
    "QUANTIZER_UNKNOWN",
    `quantizer: expected one of ${QUANTIZER_IDS.join(", ")}; found "${id}"`,
    "use one of these names",
  );
}
