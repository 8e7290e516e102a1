import { z } from "zod";

/** Repeated measurements of one thing. */
export const Spread = z.strictObject({
  median: z.number(),
  min: z.number(),
  max: z.number(),
  /** Half the distance between the quartiles: how far a typical repeat lies from the median. */
  quartileDeviation: z.number(),
  repeats: z.number().int().positive(),
});
export type Spread = z.infer<typeof Spread>;

/** Median and spread of at least one value; quartiles are interpolated linearly. */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new Error("spreadOf: no values");
  const sorted = [...values].sort((a, b) => a - b);
  const at = (fraction: number) => {
    const position = fraction * (sorted.length - 1);
    const low = Math.floor(position);
    const high = Math.min(low + 1, sorted.length - 1);
    return sorted[low] + (sorted[high] - sorted[low]) * (position - low);
  };
  return {
    median: at(0.5),
    min: sorted[0],
    max: sorted[sorted.length - 1],
    quartileDeviation: (at(0.75) - at(0.25)) / 2,
    repeats: sorted.length,
  };
}
