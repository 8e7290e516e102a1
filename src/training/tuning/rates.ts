import { cosineRate } from "../adam.ts";

/** How the rate goes on after its rise. */
export const RATE_SCHEDULES = ["constant", "linear", "cosine"] as const;
export type RateSchedule = (typeof RATE_SCHEDULES)[number];

const FALL: Readonly<Record<RateSchedule, (share: number) => number>> = {
  constant: () => 1,
  linear: (share) => 1 - share,
  cosine: (share) => cosineRate(1, share, 1),
};

/** Rate of a step (from 0) of so many: up in a line over `warmup` steps, then as the schedule says, down to 0. */
export function rateAt(
  step: number,
  {
    rate,
    schedule,
    warmup,
    steps,
  }: {
    readonly rate: number;
    readonly schedule: RateSchedule;
    readonly warmup: number;
    readonly steps: number;
  },
): number {
  if (step < warmup) return (rate * (step + 1)) / (warmup + 1);
  return rate * FALL[schedule]((step - warmup) / Math.max(1, steps - warmup));
}
