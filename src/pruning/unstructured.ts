import type { MaskKind } from "./mask-kind.ts";

/** Any so many of every 32 columns of a row stay. */
export const unstructured: MaskKind = {
  ratios: [0.5, 0.25, 0.75],
  keptAt: (ratio) => ({ count: 32 * (1 - ratio), of: 32 }),
};
