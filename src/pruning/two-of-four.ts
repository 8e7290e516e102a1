import type { MaskKind } from "./mask-kind.ts";

/** Two of every four columns of a row stay. */
export const twoOfFour: MaskKind = {
  ratios: [0.5],
  keptAt: () => ({ count: 2, of: 4 }),
};
