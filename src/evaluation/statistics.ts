/** Mean with the standard error of the mean (sample deviation over sqrt n; 0 for a single value). */
export interface MeanError {
  readonly mean: number;
  readonly error: number;
}

/** Mean and standard error of the values; the values are taken as independent. Throws on an empty array. */
export function meanWithError(values: Float64Array): MeanError {
  if (values.length === 0) throw new Error("meanWithError: no values");
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  if (values.length === 1) return { mean, error: 0 };
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  return { mean, error: Math.sqrt(squares / (values.length - 1) / values.length) };
}

/** The given quantiles (0 … 1) of the values, linearly interpolated between neighbours as llama.cpp does. */
export function quantiles(values: Float64Array, fractions: readonly number[]): number[] {
  const sorted = values.slice().sort();
  return fractions.map((fraction) => {
    const place = fraction * (sorted.length - 1);
    const below = Math.floor(place);
    const above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
  });
}
