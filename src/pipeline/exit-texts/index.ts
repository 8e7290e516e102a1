import { calibrationText } from "./calibration.ts";
import type { ExitTextSource } from "./exit-text.ts";
import { selfText } from "./self.ts";

/**
 * Where the text of exits may come from, under the names of a recipe's `exits.data`. A new one is a file and a line
 * here.
 */
export const EXIT_TEXTS = {
  calibration: calibrationText,
  self: selfText,
} as const satisfies Record<string, ExitTextSource>;

type ExitTextId = keyof typeof EXIT_TEXTS;

/** All names, in the table's order. */
export const EXIT_TEXT_IDS: readonly ExitTextId[] = Object.keys(EXIT_TEXTS).filter(isExitTextId);

function isExitTextId(name: string): name is ExitTextId {
  return Object.hasOwn(EXIT_TEXTS, name);
}
