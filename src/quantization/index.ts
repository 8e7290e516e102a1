import { UserError } from "../errors.ts";
import { quantizeNearest } from "./nearest.ts";
import type { Quantizer } from "./quantizer.ts";

/** Every quantizer under its name; a new one is a file and a line here. */
export const QUANTIZERS = {
  nearest: quantizeNearest,
} as const satisfies Record<string, Quantizer>;

export type QuantizerId = keyof typeof QUANTIZERS;

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
