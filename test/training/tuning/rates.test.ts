import { expect, it } from "vitest";
import { rateAt } from "../../../src/training/tuning/rates.ts";

const ratesOf = (schedule: "constant" | "linear" | "cosine", warmup: number) =>
  Array.from({ length: 8 }, (_, step) => rateAt(step, { rate: 1, schedule, warmup, steps: 8 }));

it("rates rise in a line and go on as the schedule says", () => {
  expect(ratesOf("constant", 0)).toEqual(Array(8).fill(1));
  expect(ratesOf("constant", 3)).toEqual([0.25, 0.5, 0.75, 1, 1, 1, 1, 1]);
  expect(ratesOf("linear", 0)).toEqual([1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]);
  const cosine = ratesOf("cosine", 4);
  expect(cosine[4]).toBe(1);
  expect(cosine[6]).toBeCloseTo(0.5, 12);
  expect(cosine.slice(4).every((rate, i, all) => i === 0 || rate < all[i - 1])).toBe(true);
});
